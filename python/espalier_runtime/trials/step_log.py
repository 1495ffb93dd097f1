"""A trial's events.jsonl: one line a step, also where a continued trial repeats what came after its checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

from espalier_runtime.records.events import EventLog


class StepLog:
    """Appends the steps of the trial's stages; a stage's steps only grow."""

    def __init__(self, path: Path) -> None:
        self._log = EventLog(path)
        self._reached: dict[str, int] = {}
        for line in path.read_text().splitlines():
            event = json.loads(line)
            if event["type"] == "step":
                self._reached[event["stage"]] = event["step"]

    def step(self, stage: str, step: int, steps: int, loss: float | None) -> None:
        """Writes the step unless it stands there already."""
        if step > self._reached.get(stage, 0):
            self._reached[stage] = step
            self._log.append({"type": "step", "stage": stage, "step": step, "steps": steps, "loss": loss})

    def close(self) -> None:
        """Closes the file."""
        self._log.close()
