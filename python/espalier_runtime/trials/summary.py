"""What the trials of a run say together: a row for each task and method, and the answer against each rival."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from espalier_runtime import contract
from espalier_runtime.records.directory import RunDirectory
from espalier_runtime.records.tables import flat, write_rows
from espalier_runtime.stats import interval
from espalier_runtime.structure.overlap import mean_overlap
from espalier_runtime.tasks.metrics import range_of
from espalier_runtime.trials.comparisons import Side, compare
from espalier_runtime.trials.prepare import Prepared


@dataclass(frozen=True)
class Summary:
    """The rows and comparisons of a run's record; `over_tasks` is None with a single task."""

    rows: list[contract.ResultRow]
    comparisons: list[contract.Comparison]
    over_tasks: contract.OverTasks | None


def summarise(prepared: Prepared, directory: RunDirectory) -> Summary:
    """Reads every trial's result back, and writes results.parquet and comparisons.parquet.

    The first method is compared with each of the others on the seeds that both finished.
    """
    results = [_read_result(directory, trial.id) for trial in prepared.plan.trials]
    methods = [
        _Method(
            Side(directory, name, tuple(r for r in results if r.method == name)),
            _read_tuning(directory, name),
            _read_structures(directory, [r for r in results if r.method == name and r.status == "done"]),
        )
        for name in (str(method.name) for method in prepared.plan.methods)
    ]
    answer, *rivals = [method.side for method in methods]
    compared = compare([(answer, rival) for rival in rivals], {task.name: task.metric for task in prepared.tasks})
    rows = [
        contract.ResultRow.model_validate(_row(prepared, [task.name], method))
        for task in prepared.tasks
        for method in methods
    ]
    means = None
    if len(prepared.tasks) > 1:
        over = [contract.OverTasksRow.model_validate(_row(prepared, prepared.names, method)) for method in methods]
        means = contract.OverTasks(rows=over, comparisons=compared.over_tasks)
    write_rows(directory.results, contract.ResultTable, [flat(r) for r in (*rows, *(means.rows if means else ()))])
    every = (*compared.tasks, *compared.over_tasks)
    write_rows(directory.comparisons, contract.ComparisonTable, [flat(entry) for entry in every])
    return Summary(rows, compared.tasks, means)


@dataclass(frozen=True)
class _Method:
    side: Side
    tuning: contract.Tuning | None
    structures: list[contract.Structure]

    @property
    def done(self) -> list[contract.TrialResult]:
        return [result for result in self.side.results if result.status == "done"]


def _read_result(directory: RunDirectory, trial: str) -> contract.TrialResult:
    return contract.TrialResult.model_validate_json(directory.trial(trial).result.read_text())


def _read_tuning(directory: RunDirectory, method: str) -> contract.Tuning | None:
    file = directory.tuning(method)
    return contract.Tuning.model_validate_json(file.read_text()) if file.exists() else None


def _read_structures(directory: RunDirectory, done: Sequence[contract.TrialResult]) -> list[contract.Structure]:
    files = [directory.trial(result.trial).structure for result in done]
    return [contract.Structure.model_validate_json(file.read_text()) for file in files if file.exists()]


def _row(prepared: Prepared, tasks: Sequence[str], method: _Method) -> dict[str, object]:
    """The row of a method on one task, or of the means over several."""
    done = method.done
    seeds = sorted({result.seed for result in done})
    scores = [_mean([_over(r, tasks, "score") or 0.0 for r in done if r.seed == seed]) for seed in seeds]
    used = [r.tasks[tasks[0]].parameters if len(tasks) == 1 else r.union for r in done]
    union = _mean([r.union for r in done])
    lowest = [r.lowest_layer for r in done if r.lowest_layer is not None]
    tune = 0.0 if method.tuning is None else method.tuning.seconds
    of = [task for task in prepared.tasks if task.name in tasks]
    return {
        "task": tasks[0] if len(tasks) == 1 else None,
        "method": method.side.name,
        "metric": _common([task.metric for task in of]),
        "mean": _mean(scores) if scores else None,
        "ci95": interval(scores, within=range_of([task.metric for task in of])),
        "seeds": len(seeds),
        "split": _common([task.evaluation_split for task in of]),
        "parameters": {
            "task": _mean(used),
            "union": union,
            "fraction": union / prepared.backbone.parameters,
        },
        "stepMs": {
            "predicted": _median([r.step_ms.predicted for r in done]),
            "measured": statistics.median([r.step_ms.fit for r in done]) if done else None,
        },
        "seconds": {
            "tune": tune,
            "search": _mean([r.seconds.search for r in done]),
            "fit": _mean([r.seconds.fit for r in done]),
            "evaluate": _mean([r.seconds.evaluate for r in done]),
        },
        "totalSeconds": tune + sum(r.seconds.search + r.seconds.fit + r.seconds.evaluate for r in done),
        "peakMemoryMiB": max((r.peak_memory_mi_b for r in done), default=0.0),
        "memoryMiB": _memory(done),
        "softBeforeFit": _known_mean([_over(r, tasks, "soft_before_fit") for r in done]),
        "hardenedBeforeFit": _known_mean([_over(r, tasks, "hardened_before_fit") for r in done]),
        "overlap": mean_overlap(method.structures, tasks[0] if len(tasks) == 1 else None),
        "lowestLayer": _mean(lowest) if lowest else None,
        "failed": len(method.side.results) - len(done),
        "learningRate": next((r.learning_rate for r in done), None),
        "overBudget": _over_budget(done),
    }


def _over(result: contract.TrialResult, tasks: Sequence[str], field: str) -> float | None:
    """The mean of a trial's score over tasks; None where it is of none."""
    values = [getattr(result.tasks[task], field) for task in tasks]
    return None if any(value is None for value in values) else _mean([float(value) for value in values])


def _common(values: Sequence[str]) -> str | None:
    return values[0] if len(set(values)) == 1 else None


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


def _known_mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _mean(known) if known else None


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
