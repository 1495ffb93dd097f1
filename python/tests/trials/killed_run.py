"""Runs plans in children that end at a named point: killed (SIGKILL), or asked to stop.

A server: each line on stdin is {"plan", "directory", "at", "how"}, and it answers with {"status", "points"} once the
child is gone. A point is a step that was told of, or a file that is about to be, or has just been, renamed into place.
Everything is imported once, before the children are forked.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import peft  # noqa: F401
import pyarrow.parquet  # noqa: F401
import sklearn.linear_model  # noqa: F401
import torch
import transformers.models.bert.modeling_bert  # noqa: F401

from espalier_runtime.jobs import Cancelled, JobContext
from espalier_runtime.runner import run_plan
from espalier_runtime.trials import gate_file
from espalier_runtime.trials.step_log import StepLog


def serve() -> None:
    torch.set_num_threads(1)
    for line in sys.stdin:
        request = json.loads(line)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            with os.fdopen(writer, "w") as answers:
                json.dump(_run(request), answers)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as answers:
            told = answers.read()
        _, code = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(code) and os.WTERMSIG(code) == signal.SIGKILL
        print(json.dumps({"status": "killed", "points": []} if killed else json.loads(told)), flush=True)


def _run(request: dict[str, Any]) -> dict[str, object]:
    context = JobContext()
    directory = Path(request["directory"])
    points: list[str] = []
    where = "start"

    def at(point: str) -> None:
        points.append(point)
        if point != request["at"]:
            return
        if request["how"] == "cancel":
            context.cancel()
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    # Gates are written at each of their snapshots, so that the points do not hang on the clock.
    gate_file.SECONDS_BETWEEN, gate_file.TIMES_BETWEEN = 0.0, 0
    tell, replace = StepLog.step, Path.replace

    def told(log: StepLog, stage: str, step: int, steps: int, loss: float | None) -> None:
        nonlocal where
        tell(log, stage, step, steps, loss)
        where = f"{Path(log._log._path).parent.name} {stage} {step}"
        at(where)

    def replaced(source: Path, target: Path) -> Path:
        if not target.is_relative_to(directory):  # Espalier's home
            return replace(source, target)
        name = target.relative_to(directory)
        at(f"{where}: {name} flushed")
        moved = replace(source, target)
        at(f"{where}: {name} renamed")
        return moved

    StepLog.step, Path.replace = told, replaced  # type: ignore[method-assign, assignment]
    try:
        run_plan({"plan": request["plan"], "directory": str(directory), "host": {}}, context)
    except Cancelled:
        return {"status": "cancelled", "points": points}
    return {"status": "done", "points": points}


if __name__ == "__main__":
    serve()
