from __future__ import annotations

import json
from pathlib import Path

from espalier_runtime.trials.progress import done_before
from espalier_runtime.trials.step_log import StepLog


def test_a_step_that_is_repeated_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for stages in ([("search", 1), ("search", 2), ("search", 3)], [("search", 3), ("search", 4), ("fit", 1)]):
        log = StepLog(path)
        for stage, step in stages:
            log.step(stage, step, 4, 0.5)
        log.close()
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(event["seq"], event["stage"], event["step"]) for event in events] == [
        (1, "search", 1),
        (2, "search", 2),
        (3, "search", 3),
        (4, "search", 4),
        (5, "fit", 1),
    ]


def test_a_stopped_run_goes_on_from_its_progress_and_an_ended_one_from_none(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    progress = '{"seq":1,"type":"progress","done":0.25}\n'
    for status, expected in (("interrupted", 0.25), ("done", 0.0), ("failed", 0.0)):
        path.write_text(progress + f'{{"seq":2,"type":"run.finished","status":"{status}"}}\n')
        assert done_before(path) == expected
    path.write_text(progress + '{"seq":2,"type":"run.started"}\n')
    assert done_before(path) == 0.25
