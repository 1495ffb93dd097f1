"""gates.parquet grows while a search goes on, and ends as the search's whole history."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from espalier_runtime.search.budgeted import search_budgeted
from espalier_runtime.search.problem import GateHistory
from espalier_runtime.trials import gate_file
from espalier_runtime.trials.gate_file import GateFile
from tests.problems import budgeted, problem


def test_a_row_is_a_step_a_task_and_a_candidate(tmp_path: Path) -> None:
    first, second = problem().space.candidates[:2]
    history = GateHistory()
    history.record(0, 2, torch.tensor([[0.5, 0.25], [0.75, 1.0]]))
    history.record(1, 2, torch.tensor([[0.0, 0.125], [1.0, 0.5]]))
    file = GateFile(tmp_path / "gates.parquet", ["a", "b"])
    file.follow(history, [first, second])
    file.write()
    expected = [
        (step, task, candidate.id, value, candidate.parameters)
        for step, values in ((0, (0.5, 0.25, 0.75, 1.0)), (1, (0.0, 0.125, 1.0, 0.5)))
        for (task, candidate), value in zip([(t, c) for t in "ab" for c in (first, second)], values, strict=True)
    ]
    rows = pq.read_table(tmp_path / "gates.parquet").to_pylist()
    assert [tuple(row.values()) for row in rows] == expected
    assert list(rows[0]) == ["step", "task", "candidate", "value", "parameters"]


def test_a_reader_sees_every_snapshot_of_a_search_as_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_file, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(gate_file, "TIMES_BETWEEN", 0)
    given = problem()
    file = GateFile(tmp_path / "gates.parquet", given.tasks)
    seen: list[list[int]] = []

    def report(step: int, steps: int, loss: float) -> None:
        file.step_done()
        seen.append(pq.read_table(tmp_path / "gates.parquet")["step"].unique().to_pylist())

    found = search_budgeted(replace(given, report=report, follow=file.follow), budgeted(), "budgeted")
    assert found.history is not None
    assert len(seen) == found.steps > 3
    assert seen == [[moment for moment in found.history.steps if moment <= step] for step in range(found.steps)]


def test_short_steps_do_not_wait_for_the_disk(tmp_path: Path) -> None:
    history = GateHistory()
    file = GateFile(tmp_path / "gates.parquet", ["a"])
    file.follow(history, problem().space.candidates[:1])
    path = tmp_path / "gates.parquet"
    for step in range(20):
        history.record(step, 20, torch.tensor([[step / 20]]))
        if step == 19:
            assert pq.read_table(path)["step"].to_pylist() == [0]
        file.step_done(is_last=step == 19)
    assert pq.read_table(path)["step"].to_pylist() == list(range(20))
    written = path.stat().st_mtime_ns
    file.write()
    assert path.stat().st_mtime_ns == written


def test_a_trial_without_learned_gates_writes_nothing(tmp_path: Path) -> None:
    file = GateFile(tmp_path / "gates.parquet", ["a"])
    file.step_done()
    file.write()
    assert not list(tmp_path.iterdir())
