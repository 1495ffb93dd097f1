"""Whether a run that is gone on with finds the rows and the weights that it began with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from espalier_runtime.errors import InputError
from espalier_runtime.records.directory import RunDirectory

Lock = Mapping[str, Any]

#: What a file of rows or weights that was edited changes in lock.json, and how messages call it.
CONTENT = {"model": "backbone", "data": "tasks", "evaluation": "tasks"}


def check_continued(directory: RunDirectory, now: Lock) -> list[str]:
    """Warnings of versions, code and device that are not those of the run's first trials; none before there is a trial.

    `now` is what lock.json would hold. Raises InputError where the content of the model or of a task is another: the
    scores of the trials before and after could not be compared.
    """
    if not directory.lock.exists() or not any(directory.root.glob("trials/*/*")):
        return []
    before: dict[str, Any] = json.loads(directory.lock.read_text())
    for name, field in CONTENT.items():
        was, found = (_by_task(lock["hashes"].get(name), field) for lock in (before, now))
        changed = [place for place in was if place in found and was[place] != found[place]]
        if changed:
            raise InputError(
                f"{', '.join(changed)}: the content is not that which {directory.root.name} began with,"
                " and its finished trials are of the content before",
                mend="Put the files back to go on with this run, or begin a new one with: espalier run EXPERIMENT",
            )
    return [
        f"the run goes on with {place} {new}, and its first trials are of {old}"
        for name in ("packages", "device", "commit")
        for place, old, new in _differences(name, before.get(name), now.get(name))
    ]


def _by_task(hashes: Any, field: str) -> dict[str, str]:
    if isinstance(hashes, Mapping):
        return {f'{field}, "{task}"': str(value) for task, value in hashes.items()}
    return {field: str(hashes)} if hashes is not None else {}


def _differences(name: str, before: Any, now: Any) -> list[tuple[str, object, object]]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        return [(str(key), before[key], now[key]) for key in before if key in now and before[key] != now[key]]
    return [] if before == now else [(name, before, now)]
