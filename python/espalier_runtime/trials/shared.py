"""Shared work: a finished trial of another run is taken over where it is the same trial."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from espalier_runtime import contract
from espalier_runtime.records.directory import RunDirectory, TrialDirectory
from espalier_runtime.records.json import dumps

Lock = Mapping[str, Any]

#: What two plans must agree on beside method, draw and seed, for a trial of one to be a trial of the other.
SAME = ("backbone", "space", "budget", "training", "tune")
#: What the two runs' locks must agree on: code, packages and hardware.
SAME_LOCK = ("commit", "packages", "device", "python")


def take_over(plan: contract.Plan, lock: Lock, directory: RunDirectory, folder: Path) -> list[str]:
    """Copies the finished trials of `folder`'s runs that are trials of `plan` too into `directory`, and names them.

    The same are: method with all its settings, draw, seed, backbone, space, budget, training, sweep, the content of
    every task and of the model, code, packages and device. A budget in step time or memory depends on what was
    measured when a run began, and a method that starts from a file on that file: their trials are not shared.
    """
    if set(plan.budget.model_dump(exclude_none=True)) != {"parameters"}:
        return []
    wanted = {_key(plan, lock, trial): trial.id for trial in plan.trials if _is_shared(plan, trial)}
    taken: dict[str, list[str]] = {}
    for root in sorted(path.parent for path in folder.glob("*/lock.json")):
        other = RunDirectory(root)
        read = None if root == directory.root.absolute() else _read(other)
        if read is None:
            continue
        theirs, their_lock = read
        for trial in theirs.trials:
            mine = wanted.get(_key(theirs, their_lock, trial))
            if mine is None or directory.trial(mine).result.exists() or not _is_done(other.trial(trial.id)):
                continue
            _copy(other.trial(trial.id).root, directory.trial(mine).root)
            tuning = other.tuning(trial.method)
            if tuning.exists() and not directory.tuning(trial.method).exists():
                _copy(tuning, directory.tuning(trial.method))
            taken.setdefault(root.name, []).append(mine)
    return [f"taken over from {run}: {', '.join(trials)}" for run, trials in taken.items()]


def _is_shared(plan: contract.Plan, trial: contract.Trial) -> bool:
    return not isinstance(_method(plan, trial), contract.FromMethod)


def _method(plan: contract.Plan, trial: contract.Trial) -> BaseModel:
    return next(method for method in plan.methods if method.name == trial.method)


def _key(plan: contract.Plan, lock: Lock, trial: contract.Trial) -> str:
    """All that a trial depends on."""
    whole = plan.model_dump(by_alias=True)
    parts = {
        "plan": {name: whole[name] for name in SAME},
        "lock": {name: lock.get(name) for name in SAME_LOCK},
        "version": lock["host"].get("espalier"),
        "content": {name: lock["hashes"][name] for name in ("model", "data")},
        "tasks": [[task.name, task.kind, task.metric, task.max_new_tokens] for task in plan.tasks],
        # The sweep runs at the plan's first seed.
        "tuned": plan.seeds[0] if plan.tune is not None else None,
        "method": _method(plan, trial).model_dump(by_alias=True),
        "trial": trial.model_dump(),
    }
    return hashlib.sha256(json.dumps(json.loads(dumps(parts)), sort_keys=True).encode()).hexdigest()


def _read(run: RunDirectory) -> tuple[contract.Plan, Lock] | None:
    """A run that cannot be read has nothing to share."""
    try:
        plan = contract.Plan.model_validate_json(run.plan.read_text())
        lock: dict[str, Any] = json.loads(run.lock.read_text())
        for trial in plan.trials:
            _key(plan, lock, trial)
    except (OSError, ValueError, KeyError, TypeError, StopIteration, AttributeError):
        return None
    return plan, lock


def _is_done(trial: TrialDirectory) -> bool:
    try:
        return bool(json.loads(trial.result.read_text())["status"] == "done")
    except (OSError, ValueError, KeyError):
        return False


def _copy(source: Path, target: Path) -> None:
    """Moved into place when it is whole, so that a copy that was broken off is no finished trial."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    if source.is_dir():
        shutil.copytree(source, temporary, dirs_exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
    else:
        shutil.copyfile(source, temporary)
    temporary.replace(target)
