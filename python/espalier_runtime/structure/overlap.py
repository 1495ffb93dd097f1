"""What structures have in common, counted in parameters rank by rank, so that other chunks of the same ranks agree."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from espalier_runtime import contract


def mean_overlap(structures: Sequence[contract.Structure], task: str | None = None) -> float | None:
    """The mean over pairs of  |both| / |either|, in parameters that `task` uses, or any task.

    None with fewer than two structures, and where none has any parameter.
    """
    units = [_units(structure, task) for structure in structures]
    if len(units) < 2 or not any(units):
        return None
    shares = [_overlap(a, b) for a, b in itertools.combinations(units, 2)]
    return sum(shares) / len(shares)


def _units(structure: contract.Structure, task: str | None) -> dict[tuple[str, str, int], float]:
    """Parameters of each single rank or width."""
    return {
        (chosen.site, chosen.kind, chosen.start + unit): (chosen.parameters - (0 if task is None else chosen.of_others))
        / chosen.size
        for chosen in structure.candidates
        if task is None or task in chosen.tasks
        for unit in range(chosen.size)
    }


def _overlap(a: dict[tuple[str, str, int], float], b: dict[tuple[str, str, int], float]) -> float:
    either = {**a, **b}
    total = sum(either.values())
    return 1.0 if total == 0 else sum(either[unit] for unit in a.keys() & b.keys()) / total
