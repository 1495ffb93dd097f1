"""events.jsonl: append-only, one JSON object a line, numbered without gaps."""

from __future__ import annotations

import time
from pathlib import Path
from typing import IO

from espalier_runtime.records.files import storage_error
from espalier_runtime.records.json import dumps


class EventLog:
    """Writes each event as one line in one write; a killed writer leaves at most one torn last line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._seq = _repair(path)
        self._file: IO[bytes] = path.open("ab", buffering=0)

    def append(self, event: dict[str, object]) -> dict[str, object]:
        """Stamps the event with the next `seq` and the time, writes it, and returns it."""
        self._seq += 1
        stamped = {"seq": self._seq, "time": time.time(), **event}
        try:
            self._file.write((dumps(stamped) + "\n").encode())
        except OSError as error:
            raise storage_error(error, self._path) from error
        return stamped

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _repair(path: Path) -> int:
    """Cuts a torn last line off, and returns the number of whole lines."""
    if not path.exists():
        return 0
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with path.open("r+b") as file:
            file.truncate(whole)
    return data.count(b"\n")
