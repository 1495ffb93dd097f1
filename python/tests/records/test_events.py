from __future__ import annotations

import json
from pathlib import Path

from espalier_runtime.records.events import EventLog


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_events_are_numbered_without_gaps(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    for step in range(1000):
        log.append({"type": "step", "step": step})
    log.close()
    assert [event["seq"] for event in lines(tmp_path / "events.jsonl")] == list(range(1, 1001))


def test_an_interrupted_log_is_continued_after_its_torn_line_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.append({"type": "a"})
    log.append({"type": "b"})
    log.close()
    with path.open("a") as file:
        file.write('{"seq":3,"type":"torn')
    log = EventLog(path)
    log.append({"type": "c"})
    log.close()
    assert [(event["seq"], event["type"]) for event in lines(path)] == [(1, "a"), (2, "b"), (3, "c")]
