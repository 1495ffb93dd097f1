"""The layout of a run directory, and its one writer."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from espalier_runtime.errors import EspalierError
from espalier_runtime.records.files import storage_error, write_json


class RunDirectory:
    """Names of the files of a run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.plan = root / "plan.json"
        self.lock = root / "lock.json"
        self.events = root / "events.jsonl"
        self.results = root / "results.parquet"
        self.comparisons = root / "comparisons.parquet"
        self.record = root / "record.json"
        self.exports = root / "exports"
        #: What steps were measured to cost when the run began.
        self.costs = root / "costs.json"
        self.examples = root / "examples.json"
        self.robustness = root / "robustness.json"
        #: Whoever may write here asks the run to stop by making this file.
        self.stop = root / "stop.request"

    def tuning(self, method: str) -> Path:
        """The sweep of a method's learning rates."""
        return self.root / "tuning" / f"{method}.json"

    def trial(self, trial_id: str) -> TrialDirectory:
        """The files of one trial."""
        return TrialDirectory(self.root / "trials" / trial_id)

    @contextmanager
    def writer(self) -> Iterator[None]:
        """Holds the run for this process: a run has one writer at a time.

        The lock file names process and host. A lock of this host whose process is gone is stale and is taken over;
        what such a process had begun to write is removed.
        Raises EspalierError where another process holds it.
        """
        path = self.root / "writer.lock"
        mine = {"pid": os.getpid(), "host": socket.gethostname()}
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            holder = _read_holder(path)
            if _alive(holder):
                raise EspalierError(
                    f"{self.root}: process {holder['pid']} on {holder['host']} is writing this run",
                    mend="Wait until it ends, or end it.",
                ) from None
            write_json(path, mine)
        except OSError as error:
            raise storage_error(error, path) from error
        else:
            with os.fdopen(descriptor, "w") as file:
                json.dump(mine, file)
        for left in sorted(self.root.rglob(".*.tmp")):
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink(missing_ok=True)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


class TrialDirectory:
    """Names of the files of a trial."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.trial = root / "trial.json"
        self.events = root / "events.jsonl"
        self.gates = root / "gates.parquet"
        self.structure = root / "structure.json"
        #: What ran against what in a race, and how it was decided.
        self.race = root / "race.json"
        #: What proposed the structure, where a controller did, and can propose others.
        self.controller = root / "controller.safetensors"
        self.adapter = root / "adapter"
        self.checkpoint = root / "checkpoint"
        self.predictions = root / "predictions.parquet"
        self.result = root / "result.json"
        self.robustness = root / "robustness.json"


def _read_holder(path: Path) -> dict[str, object]:
    try:
        holder = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _alive(holder: dict[str, object]) -> bool:
    pid, host = holder.get("pid"), holder.get("host")
    if not isinstance(pid, int) or host != socket.gethostname():
        # A torn lock belongs to a process that died while writing it; one of another host cannot be asked.
        return isinstance(pid, int)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
