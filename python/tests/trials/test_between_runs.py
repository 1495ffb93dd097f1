"""A method of one run against one of another, on files as trials write them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from espalier_runtime import contract
from espalier_runtime.errors import InputError
from espalier_runtime.jobs import JobContext
from espalier_runtime.records.tables import write_table
from espalier_runtime.runner import compare_runs
from espalier_runtime.stats import paired_difference
from espalier_runtime.trials.result import failed_result

LABELS = np.arange(200) % 2


def trial(run: Path, method: str, seed: int, rate: float, labels: np.ndarray = LABELS, tasks: str = "ab") -> np.ndarray:
    """A finished trial that is right at `rate`; what it predicted for every task."""
    folder = run / "trials" / f"{method}-seed{seed}"
    folder.mkdir(parents=True)
    right = np.random.default_rng([seed, len(method), round(100 * rate)]).random(labels.size) < rate
    predicted = np.where(right, labels, 1 - labels)
    columns: dict[str, list[object]] = {name: [] for name in contract.PredictionTable.model_fields}
    for task in tasks:
        columns["task"] += [task] * labels.size
        columns["row"] += range(labels.size)
        columns["label"] += labels.astype(float).tolist()
        columns["prediction"] += predicted.astype(float).tolist()
        columns["outputs"] += [[0.0]] * labels.size
        columns["text"] += [None] * labels.size
        columns["reference"] += [None] * labels.size
    write_table(folder / "predictions.parquet", contract.PredictionTable, columns)
    record = failed_result(contract.Trial(id=folder.name, method=method, draw=0, seed=seed), "none")
    done = record.model_copy(update={"status": "done", "error": None})
    (folder / "result.json").write_text(json.dumps(done.model_dump(by_alias=True)))
    return predicted


def compared(first: Path, second: Path, tasks: str = "ab") -> dict[str, object]:
    a = {"directory": str(first), "method": "budgeted", "name": "one/budgeted"}
    b = {"directory": str(second), "method": "uniform", "name": "two/uniform"}
    return compare_runs({"a": a, "b": b, "metrics": dict.fromkeys(tasks, "accuracy")}, JobContext())


def test_it_pairs_the_seeds_that_both_finished(tmp_path: Path) -> None:
    ours = [trial(tmp_path / "one", "budgeted", seed, 0.95) for seed in (0, 1, 2)]
    theirs = [trial(tmp_path / "two", "uniform", seed, 0.7) for seed in (1, 2, 3)]
    found = compared(tmp_path / "one", tmp_path / "two")
    assert found["seeds"] == [1, 2]
    expected = paired_difference("accuracy", LABELS, ours[1:], theirs[:2])
    task = contract.Comparison.model_validate(found["comparisons"][0])  # type: ignore[index]
    assert (task.task, task.a, task.b) == ("a", "one/budgeted", "two/uniform")
    assert task.difference == pytest.approx(expected.difference)
    assert task.p == pytest.approx(expected.p)
    (over,) = [contract.OverTasksComparison.model_validate(entry) for entry in found["overTasks"]]  # type: ignore[attr-defined]
    assert over.difference == pytest.approx(expected.difference)


def test_one_task_has_no_mean_over_tasks(tmp_path: Path) -> None:
    trial(tmp_path / "one", "budgeted", 0, 0.9)
    trial(tmp_path / "two", "uniform", 0, 0.9)
    found = compared(tmp_path / "one", tmp_path / "two", "a")
    assert found["overTasks"] == []
    assert len(found["comparisons"]) == 1  # type: ignore[arg-type]


def test_runs_without_a_finished_seed_in_common_are_refused(tmp_path: Path) -> None:
    trial(tmp_path / "one", "budgeted", 0, 0.9)
    trial(tmp_path / "two", "uniform", 1, 0.9)
    with pytest.raises(InputError, match=r"no seed is finished in both; \[0\] there, \[1\] here"):
        compared(tmp_path / "one", tmp_path / "two")


def test_other_rows_are_refused_whatever_the_runs_say_of_them(tmp_path: Path) -> None:
    trial(tmp_path / "one", "budgeted", 0, 0.9)
    trial(tmp_path / "two", "uniform", 0, 0.9, labels=1 - LABELS)
    with pytest.raises(InputError, match=r'the evaluated rows of task "a" differ, 200 and 200 of them'):
        compared(tmp_path / "one", tmp_path / "two")
