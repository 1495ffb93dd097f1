from __future__ import annotations

import json
from pathlib import Path

from espalier_runtime.trials.progress import done_before, trial_warnings


def events(folder: Path, *entries: dict[str, object]) -> Path:
    file = folder / "events.jsonl"
    file.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return file


def warning(trial: str | None, message: str) -> dict[str, object]:
    return {"type": "warning", "trial": trial, "message": message}


def test_what_trials_warned_of_is_told_once_and_in_order(tmp_path: Path) -> None:
    out = warning("b-seed0", "memory ran out")
    file = events(tmp_path, warning(None, "of the run"), out, warning("a-seed0", "memory ran out"), out)
    assert trial_warnings(file) == ["b-seed0: memory ran out", "a-seed0: memory ran out"]


def test_a_run_that_was_interrupted_goes_on_from_its_share_and_another_from_none(tmp_path: Path) -> None:
    progress, end = {"type": "progress", "done": 0.4}, {"type": "run.finished", "status": "interrupted"}
    assert done_before(events(tmp_path, progress, end)) == 0.4
    assert done_before(events(tmp_path, progress, {**end, "status": "failed"})) == 0.0
    assert done_before(events(tmp_path)) == 0.0
