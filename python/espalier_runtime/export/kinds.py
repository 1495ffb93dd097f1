"""The kinds that an adapter uses, and which of them PEFT holds."""

from __future__ import annotations

from espalier_runtime.export.native import LoadedAdapter


def kinds_of_task(adapter: LoadedAdapter, task: str | None) -> set[str]:
    """The kinds that `task`, or any task, uses."""
    return {candidate.kind for _, candidate, _ in adapter.used(task)}


def peft_name(adapter: LoadedAdapter, index: int, task: str | None) -> str | None:
    """PEFT's name for what holds the candidate at `index` for `task`, or for all tasks together; None: it has nothing.

    What has parts of a task's own is as many adapters as tasks, and none that holds them all.
    """
    kind = adapter.model.pool.units(index)[0].kind
    return None if task is None and kind.tasks > 1 else kind.peft


def held_by_peft(adapter: LoadedAdapter, task: str | None) -> dict[str, str]:
    """PEFT's name by kind, of the kinds that `task`, or all tasks together, uses and that PEFT can hold."""
    named = {candidate.kind: peft_name(adapter, index, task) for index, candidate, _ in adapter.used(task)}
    return {kind: name for kind, name in named.items() if name is not None}
