"""Methods without a structure beside those with one, in one run on the real MiniLM."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from trials.test_run import COMMON, Listening, plan, run

from espalier_runtime.errors import InputError
from espalier_runtime.runner import export_run

COMMON["full"] = {"learningRate": 1e-4}
COMMON["peftLora"] = {"rank": 1, "scale": 2.0, "slots": None}
COMMON["separate"] = {"kind": None}


def test_a_baseline_gives_a_row_and_leaves_the_next_trial_as_it_would_be_alone(tmp_path: Path) -> None:
    together = run(plan("full", "uniform", "peftLora", "separate", seeds=[0], maxSteps=2), tmp_path / "together")
    alone = run(plan("uniform", seeds=[0], maxSteps=2), tmp_path / "alone")
    rows = {row.method: row for row in together.rows if row.task == "snips"}
    assert (rows["full"].parameters.union, rows["full"].parameters.fraction) == (22_713_216, 1.0)
    # Space: attention.query, mlp.down and, by `attention`, its four linears, in six layers.
    assert rows["peftLora"].parameters.union == 6 * (4 * 768 + 1920)
    assert rows["separate"].parameters.union == 2 * rows["separate"].parameters.task
    assert all(row.failed == 0 and row.step_ms.measured and row.seconds.fit > 0 for row in together.rows)
    assert {c.b for c in together.comparisons} == {"uniform", "peftLora", "separate"}
    for name in ("predictions.parquet", "adapter/adapter.safetensors"):
        first = (tmp_path / "together/trials/uniform-seed0" / name).read_bytes()
        assert first == (tmp_path / "alone/trials/uniform-seed0" / name).read_bytes()
    assert [row.mean for row in alone.rows] == [row.mean for row in together.rows if row.method == "uniform"]
    full = tmp_path / "together/trials/full-seed0"
    assert not (full / "structure.json").exists()
    assert (full / "adapter/adapter.safetensors").stat().st_size > 4 * 22_713_216
    assert together.exports == []
    assert "full has no structure" in together.warnings[-1]
    with pytest.raises(InputError, match="full has no structure"):
        export_run({"directory": str(tmp_path / "together"), "to": "peft"}, Listening())


def test_a_method_is_trained_at_its_own_learning_rate(tmp_path: Path) -> None:
    given = plan("uniform", seeds=[0], maxSteps=4)
    slow = {**given["methods"][0], "name": "slow", "learningRate": 1e-9}
    given["methods"].append(slow)
    given["trials"].append({"id": "slow-seed0", "method": "slow", "draw": 0, "seed": 0})
    run(given, tmp_path / "run")
    losses = {
        name: [json.loads(line) for line in (tmp_path / f"run/trials/{name}-seed0/events.jsonl").open()]
        for name in ("uniform", "slow")
    }
    assert losses["uniform"][0]["loss"] == losses["slow"][0]["loss"]
    assert losses["uniform"][3]["loss"] != losses["slow"][3]["loss"]
