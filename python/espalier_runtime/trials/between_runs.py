"""A method of one run against one of another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from espalier_runtime import contract
from espalier_runtime.errors import InputError
from espalier_runtime.records.directory import RunDirectory
from espalier_runtime.trials.comparisons import Compared, Side, compare


@dataclass(frozen=True)
class Chosen:
    """A run's directory, a method of it, and what to call the two."""

    directory: Path
    method: str
    name: str


@dataclass(frozen=True)
class BetweenRuns:
    """`seeds`: those that both finished."""

    seeds: list[int]
    compared: Compared


def compare_between(a: Chosen, b: Chosen, metrics: Mapping[str, str]) -> BetweenRuns:
    """`a` against `b` on the tasks of `metrics`, paired by seed and by item.

    Raises InputError where no seed is done in both, or the evaluated rows are not the same.
    """
    first, second = _side(a), _side(b)
    seeds = sorted(first.seeds & second.seeds)
    if not seeds:
        raise InputError(
            f"{a.name} and {b.name}: no seed is finished in both; {sorted(first.seeds) or 'none'} there,"
            f" {sorted(second.seeds) or 'none'} here",
            mend="Run both with seeds in common.",
        )
    return BetweenRuns(seeds, compare([(first, second)], metrics))


def _side(chosen: Chosen) -> Side:
    directory = RunDirectory(chosen.directory)
    files = sorted(directory.root.glob("trials/*/result.json"))
    results = [contract.TrialResult.model_validate_json(file.read_text()) for file in files]
    return Side(directory, chosen.name, tuple(r for r in results if r.method == chosen.method))
