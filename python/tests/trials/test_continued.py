"""A run that is gone on with after its files or its packages changed, on the real MiniLM."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from trials.test_run import Listening, plan, run

from espalier_runtime.errors import InputError
from espalier_runtime.jobs import Cancelled, JobContext
from espalier_runtime.records.directory import RunDirectory
from espalier_runtime.runner import measure_robustness
from espalier_runtime.trials.continued import check_continued


def begun(directory: Path) -> dict[str, Any]:
    """The plan of a run that was stopped after the first of its two trials."""
    given = plan("head", "uniform", seeds=[0], maxSteps=2, maxLength=16)
    given["tasks"] = given["tasks"][:1]
    with pytest.raises(Cancelled):
        run(given, directory, Listening(cancel_at=1))
    return given


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_run_whose_rows_changed_is_not_gone_on_with(tmp_path: Path, split: str) -> None:
    given = begun(tmp_path / "run")
    before = (tmp_path / "run/lock.json").read_bytes()
    changed = copy.deepcopy(given)
    changed["tasks"][0][split][0]["text"] += " please"
    with pytest.raises(InputError, match=r'^tasks, "snips": the content is not that which run began with') as caught:
        run(changed, tmp_path / "run")
    assert "Put the files back" in str(caught.value.mend)
    assert (tmp_path / "run/lock.json").read_bytes() == before
    (tmp_path / "run/plan.json").write_text(json.dumps(changed))
    payload = {"directory": str(tmp_path / "run"), "perturbations": ["input"], "ratios": [0.1], "rows": 5}
    with pytest.raises(InputError, match="the content is not that which run began with"):
        measure_robustness(payload, JobContext())
    assert run(given, tmp_path / "run").status == "done"


def lock_of(**changes: Any) -> dict[str, Any]:
    whole = {
        "packages": {"torch": "1", "peft": "2"},
        "device": {"type": "cpu"},
        "commit": "a",
        "hashes": {"model": "m", "data": {"t": "d"}, "evaluation": {"t": "e"}},
    }
    return {**whole, **changes}


def directory_with(folder: Path, lock: dict[str, Any]) -> RunDirectory:
    (folder / "trials/head-seed0").mkdir(parents=True)
    (folder / "trials/head-seed0/result.json").write_text("{}")
    (folder / "lock.json").write_text(json.dumps(lock))
    return RunDirectory(folder)


def test_other_versions_code_and_device_are_warnings(tmp_path: Path) -> None:
    directory = directory_with(tmp_path, lock_of())
    now = lock_of(packages={"torch": "1.1", "peft": "2"}, commit="b", device={"type": "cuda"})
    assert check_continued(directory, lock_of()) == []
    assert check_continued(directory, now) == [
        "the run goes on with torch 1.1, and its first trials are of 1",
        "the run goes on with type cuda, and its first trials are of cpu",
        "the run goes on with commit b, and its first trials are of a",
    ]


def test_other_weights_are_refused_and_a_run_without_a_trial_begins_anew(tmp_path: Path) -> None:
    now = lock_of(hashes={"model": "n", "data": {"t": "d"}})
    with pytest.raises(InputError, match="^backbone: the content is not that"):
        check_continued(directory_with(tmp_path / "trained", lock_of()), now)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/lock.json").write_text(json.dumps(lock_of()))
    assert check_continued(RunDirectory(tmp_path / "empty"), now) == []
