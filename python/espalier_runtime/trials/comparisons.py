"""Methods against each other, by what their trials predicted: paired by seed, by item, and over tasks by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from espalier_runtime import contract
from espalier_runtime.errors import InputError
from espalier_runtime.records.directory import RunDirectory
from espalier_runtime.stats import (
    PairedDifference,
    PairedScores,
    difference_of,
    holm,
    over_tasks,
    paired_scores,
    smallest_detectable_difference,
    verdict,
)

#: The level of all comparisons of a run together.
ALPHA = 0.05


@dataclass(frozen=True)
class Side:
    """A method of a run, called `name` in what is said of it, with the results of all its trials."""

    directory: RunDirectory
    name: str
    results: tuple[contract.TrialResult, ...]

    @property
    def seeds(self) -> set[int]:
        """Those of which every trial is done."""
        return {r.seed for r in self.results} - {r.seed for r in self.results if r.status != "done"}

    def predictions(self, task: str, seeds: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Labels (items,) and predictions (seeds, draws, items), read back from the trials' files.

        Raises InputError where the trials were not scored on the same rows.
        """
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        labels: NDArray[np.float64] | None = None
        by_seed = []
        for seed in seeds:
            draws = []
            for result in sorted((r for r in self.results if r.seed == seed), key=lambda r: r.draw):
                file = self.directory.trial(result.trial).predictions
                table = pq.read_table(file, columns=["task", "label", "prediction"])
                mine = table.filter(pc.equal(table["task"], task))
                own = mine["label"].to_numpy()
                labels = own if labels is None else labels
                check_rows(task, (self.name, labels), (f"{self.name}, {result.trial}", own))
                draws.append(mine["prediction"].to_numpy())
            by_seed.append(draws)
        return np.empty(0) if labels is None else labels, np.asarray(by_seed, dtype=np.float64)


def check_rows(task: str, a: tuple[str, NDArray[np.float64]], b: tuple[str, NDArray[np.float64]]) -> None:
    """Raises InputError unless the rows are the same, which are known by their labels, in order."""
    if not np.array_equal(a[1], b[1]):
        raise InputError(
            f'{a[0]} and {b[0]}: the evaluated rows of task "{task}" differ, {a[1].size} and {b[1].size} of them',
            mend="Compare trials that were scored on the same rows.",
        )


@dataclass(frozen=True)
class Compared:
    """The comparisons on each task, and those of the means over tasks, of which there are none with a single task."""

    tasks: list[contract.Comparison]
    over_tasks: list[contract.OverTasksComparison]


def compare(pairs: Sequence[tuple[Side, Side]], metrics: Mapping[str, str]) -> Compared:
    """The first of each pair against the second, on each task of `metrics` and over them.

    A pair is compared on the seeds that both finished, and left out where there is none. p is Holm-corrected over all
    comparisons together. Raises InputError where two were not scored on the same rows.
    """
    found: list[tuple[str | None, Side, Side, PairedDifference]] = []
    means: list[tuple[str | None, Side, Side, PairedDifference]] = []
    by_pair: dict[int, list[PairedScores]] = {}
    for task, metric in metrics.items():
        for index, (a, b) in enumerate(pairs):
            seeds = sorted(a.seeds & b.seeds)
            if not seeds:
                continue
            labels, ours = a.predictions(task, seeds)
            other_labels, theirs = b.predictions(task, seeds)
            check_rows(task, (a.name, labels), (b.name, other_labels))
            scores = paired_scores(metric, labels, ours, theirs)
            by_pair.setdefault(index, []).append(scores)
            found.append((task, a, b, difference_of(scores)))
    if len(metrics) > 1:
        means = [(None, *pairs[index], difference_of(over_tasks(scores))) for index, scores in by_pair.items()]
    every = [*found, *means]
    adjusted = holm([difference.p for *_, difference in every])
    records = [_record(*entry, p, len(every)) for entry, p in zip(every, adjusted, strict=True)]
    return Compared(
        [contract.Comparison.model_validate(record) for record in records[: len(found)]],
        [contract.OverTasksComparison.model_validate(record) for record in records[len(found) :]],
    )


def _record(
    task: str | None, a: Side, b: Side, found: PairedDifference, adjusted: float, count: int
) -> dict[str, object]:
    return {
        "task": task,
        "a": a.name,
        "b": b.name,
        "difference": found.difference,
        "ci95": found.interval,
        "p": found.p,
        "pAdjusted": adjusted,
        "verdict": verdict(found.difference, found.interval, adjusted, ALPHA),
        # Where all other comparisons find nothing, Holm's procedure tests this one at the level over their number.
        "detectable": smallest_detectable_difference(found, ALPHA / count),
    }
