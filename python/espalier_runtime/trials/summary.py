"""What the trials of a run say together: a row for each task and method, and the answer against each rival."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from espalier_runtime import contract
from espalier_runtime.records.directory import RunDirectory
from espalier_runtime.records.tables import flat, write_rows
from espalier_runtime.stats import PairedDifference, holm, interval, paired_difference, verdict
from espalier_runtime.tasks.task import TaskData
from espalier_runtime.trials.prepare import Prepared


def summarise(
    prepared: Prepared, directory: RunDirectory
) -> tuple[list[contract.ResultRow], list[contract.Comparison]]:
    """Reads every trial's result back, writes results.parquet and comparisons.parquet, and returns their rows.

    The first method is compared with each of the others on the seeds that both finished; p is Holm-corrected over all
    comparisons of the run.
    """
    results = [_read_result(directory, trial.id) for trial in prepared.plan.trials]
    rows = [
        _row(
            prepared,
            task,
            str(method.name),
            [r for r in results if r.method == method.name],
            _read_tuning(directory, str(method.name)),
        )
        for task in prepared.tasks
        for method in prepared.plan.methods
    ]
    comparisons = _compare(prepared, directory, results)
    write_rows(directory.results, contract.ResultTable, [flat(row) for row in rows])
    write_rows(directory.comparisons, contract.ComparisonTable, [flat(entry) for entry in comparisons])
    return rows, comparisons


def _read_result(directory: RunDirectory, trial: str) -> contract.TrialResult:
    return contract.TrialResult.model_validate_json(directory.trial(trial).result.read_text())


def _read_tuning(directory: RunDirectory, method: str) -> contract.Tuning | None:
    file = directory.tuning(method)
    return contract.Tuning.model_validate_json(file.read_text()) if file.exists() else None


def _row(
    prepared: Prepared,
    task: TaskData,
    method: str,
    results: Sequence[contract.TrialResult],
    tuning: contract.Tuning | None,
) -> contract.ResultRow:
    done = [result for result in results if result.status == "done"]
    seeds = sorted({result.seed for result in done})
    scores = [_mean([_real(r.tasks[task.name].score) for r in done if r.seed == seed]) for seed in seeds]
    hardened = [r.tasks[task.name].hardened_before_fit for r in done]
    union = _mean([r.union for r in done])
    lowest = [r.lowest_layer for r in done if r.lowest_layer is not None]
    return contract.ResultRow.model_validate(
        {
            "task": task.name,
            "method": method,
            "metric": task.metric,
            "mean": _mean(scores) if scores else None,
            "ci95": interval(scores),
            "seeds": len(seeds),
            "split": task.evaluation_split,
            "parameters": {
                "task": _mean([r.tasks[task.name].parameters for r in done]),
                "union": union,
                "fraction": union / prepared.backbone.parameters,
            },
            "stepMs": {
                "predicted": _median([r.step_ms.predicted for r in done]),
                "measured": statistics.median([r.step_ms.fit for r in done]) if done else None,
            },
            "seconds": {
                "tune": 0.0 if tuning is None else tuning.seconds,
                "search": _mean([r.seconds.search for r in done]),
                "fit": _mean([r.seconds.fit for r in done]),
                "evaluate": _mean([r.seconds.evaluate for r in done]),
            },
            "peakMemoryMiB": max((r.peak_memory_mi_b for r in done), default=0.0),
            "memoryMiB": _memory(done),
            "hardenedBeforeFit": _mean([_real(value) for value in hardened if value is not None])
            if any(value is not None for value in hardened)
            else None,
            "lowestLayer": _mean(lowest) if lowest else None,
            "failed": len(results) - len(done),
            "learningRate": next((r.learning_rate for r in done), None),
            "overBudget": _over_budget(done),
        }
    )


def _compare(
    prepared: Prepared, directory: RunDirectory, results: Sequence[contract.TrialResult]
) -> list[contract.Comparison]:
    answer, *rivals = [str(method.name) for method in prepared.plan.methods]
    found: list[tuple[str, str, PairedDifference]] = []
    for task in prepared.tasks:
        for rival in rivals:
            seeds = _seeds_of_both(results, answer, rival)
            if not seeds:
                continue
            labels, ours = _predictions(directory, results, task.name, answer, seeds)
            _, theirs = _predictions(directory, results, task.name, rival, seeds)
            found.append((task.name, rival, paired_difference(task.metric, labels, ours, theirs)))
    adjusted = holm([difference.p for _, _, difference in found])
    return [
        contract.Comparison.model_validate(
            {
                "task": task,
                "a": answer,
                "b": rival,
                "difference": difference.difference,
                "ci95": difference.interval,
                "p": difference.p,
                "pAdjusted": p,
                "verdict": verdict(difference.difference, difference.interval, p),
            }
        )
        for (task, rival, difference), p in zip(found, adjusted, strict=True)
    ]


def _seeds_of_both(results: Sequence[contract.TrialResult], answer: str, rival: str) -> list[int]:
    """The seeds of which every trial of both methods is done."""

    def whole(method: str) -> set[int]:
        mine = [r for r in results if r.method == method]
        return {r.seed for r in mine} - {r.seed for r in mine if r.status != "done"}

    return sorted(whole(answer) & whole(rival))


def _predictions(
    directory: RunDirectory, results: Sequence[contract.TrialResult], task: str, method: str, seeds: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Labels (items,) and predictions (seeds, draws, items) of a method's trials, read back from their files."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    labels = np.empty(0)
    by_seed = []
    for seed in seeds:
        draws = []
        for result in sorted((r for r in results if r.method == method and r.seed == seed), key=lambda r: r.draw):
            table = pq.read_table(directory.trial(result.trial).predictions, columns=["task", "label", "prediction"])
            mine = table.filter(pc.equal(table["task"], task))
            labels = mine["label"].to_numpy()
            draws.append(mine["prediction"].to_numpy())
        by_seed.append(draws)
    return labels, np.asarray(by_seed, dtype=np.float64)


def _memory(done: Sequence[contract.TrialResult]) -> dict[str, float] | None:
    known = [r.memory_mi_b for r in done if r.memory_mi_b is not None]
    if not known:
        return None
    return {
        "predicted": statistics.median([entry.predicted for entry in known]),
        "measured": statistics.median([entry.measured for entry in known]),
    }


def _over_budget(done: Sequence[contract.TrialResult]) -> list[dict[str, object]]:
    """Each limit that a trial does not keep, with the most that one takes."""
    most: dict[str, contract.OverBudget] = {}
    for entry in sorted((entry for r in done for entry in r.over_budget), key=lambda entry: entry.measured):
        most[entry.limit] = entry
    return [entry.model_dump(by_alias=True) for entry in most.values()]


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _real(value: float | str) -> float:
    """A number of a record, in which NaN and infinity are words."""
    return float(value)
