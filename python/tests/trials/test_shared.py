"""Trials that another run has finished already, on the real MiniLM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trials.test_run import Listening, plan

from espalier_runtime import contract
from espalier_runtime.runner import run_plan
from espalier_runtime.trials.shared import _key


def run(given: dict[str, Any], directory: Path) -> tuple[contract.RunRecord, list[str]]:
    """The record, and the trials that were trained."""
    directory.mkdir(parents=True)
    (directory / "plan.json").write_text(json.dumps(given))
    context = Listening()
    payload = {"plan": given, "directory": str(directory), "host": {"espalier": "1"}, "share": str(directory.parent)}
    record = contract.RunRecord.model_validate(run_plan(payload, context))
    return record, [str(event["trial"]) for event in context.heard if event["type"] == "trial.finished"]


def given(*methods: str, seeds: list[int]) -> dict[str, Any]:
    made = plan(*methods, seeds=seeds, maxSteps=2, maxLength=16)
    return made | {"tasks": made["tasks"][:1]}


def test_an_equal_trial_is_taken_over_and_the_record_says_so(tmp_path: Path) -> None:
    run(given("uniform", "head", seeds=[0]), tmp_path / "first")
    # A damaged run has nothing to share, and is no obstacle.
    for name, text in (("torn", '{"version": 1'), ("empty", "{}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lock.json").write_text(text)
        (tmp_path / name / "plan.json").write_text(text)
    record, trained = run(given("head", "uniform", seeds=[0, 1]) | {"name": "other"}, tmp_path / "second")
    assert trained == ["head-seed1", "uniform-seed1"]
    assert record.warnings[-1] == "taken over from first: uniform-seed0, head-seed0"
    first, second = ((tmp_path / name / "trials/uniform-seed0") for name in ("first", "second"))
    for name in ("result.json", "predictions.parquet", "adapter/adapter.safetensors"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    changed = given("head", seeds=[0])
    changed["tasks"][0]["train"][0]["text"] += " please"
    assert run(changed, tmp_path / "changed")[1] == ["head-seed0"]


def test_a_trial_is_another_where_anything_it_depends_on_is() -> None:
    whole = contract.Plan.model_validate(given("head", "uniform", seeds=[0, 1]))
    lock = {"host": {"espalier": "1"}, "hashes": {"model": "m", "data": {"snips": "d"}}, "commit": "c"}
    head, other_seed, uniform = (whole.trials[index] for index in (0, 1, 2))
    key = _key(whole, lock, head)
    same = contract.Plan.model_validate(given("uniform", "head", seeds=[0, 5]))
    assert _key(same.model_copy(update={"name": "x"}), lock, same.trials[2]) == key
    others = [
        _key(whole, lock, other_seed),
        _key(whole, lock, uniform),
        _key(whole, lock | {"commit": "e"}, head),
        _key(whole, lock | {"host": {"espalier": "2"}}, head),
        _key(whole, lock | {"hashes": {"model": "n", "data": {"snips": "d"}}}, head),
        _key(whole, lock | {"hashes": {"model": "m", "data": {"snips": "e"}}}, head),
        _key(whole.model_copy(update={"budget": contract.Budget(parameters=9000)}), lock, head),
        _key(
            whole.model_copy(update={"training": whole.training.model_copy(update={"learning_rate": 0.5})}), lock, head
        ),
    ]
    assert len({key, *others}) == 9
