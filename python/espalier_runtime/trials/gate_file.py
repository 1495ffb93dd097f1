"""A trial's gates.parquet: what its gates were at each snapshot, rewritten while the search goes on.

One row a step, task and candidate: `step`, `task`, `candidate`, `value` (its probability, or 0 or 1), `parameters`. A
reader sees all snapshots up to the last write. The history itself lives in the search's checkpoint; this file only
follows it, so that a search which is continued writes the file that it would have written uninterrupted.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espalier_runtime import contract
from espalier_runtime.records.tables import write_table
from espalier_runtime.search.problem import GateHistory
from espalier_runtime.structure.space import Candidate

#: Between two writes lie at least so many seconds,
SECONDS_BETWEEN = 1.0
#: and so many times what the last one took: writing is kept to a fiftieth of the search's time, however large the file.
TIMES_BETWEEN = 50


class GateFile:
    """Writes the history that a search is building; a trial without learned gates writes nothing."""

    def __init__(self, path: Path, tasks: Sequence[str]) -> None:
        """`tasks` name the rows of the history's values."""
        self._path, self._tasks = path, tasks
        self._history: GateHistory | None = None
        self._candidates: Sequence[Candidate] = ()
        self._written, self._due = 0, 0.0

    def follow(self, history: GateHistory, candidates: Sequence[Candidate]) -> None:
        """From now on the file tells of `history`, whose values are those of `candidates`."""
        if history is not self._history:
            self._history, self._candidates, self._written = history, candidates, 0

    def step_done(self, *, is_last: bool = False) -> None:
        """To be called after a step of the search: writes if there is a new snapshot and it is time to, or the last."""
        if is_last or time.monotonic() >= self._due:
            self.write()

    def write(self) -> None:
        """Writes all snapshots, unless they stand there already."""
        if self._history is None or len(self._history.steps) == self._written:
            return
        began = time.monotonic()
        write_table(self._path, contract.GateTable, _columns(self._history, self._candidates, self._tasks))
        now = time.monotonic()
        self._written, self._due = len(self._history.steps), now + max(SECONDS_BETWEEN, TIMES_BETWEEN * (now - began))


def _columns(history: GateHistory, candidates: Sequence[Candidate], tasks: Sequence[str]) -> dict[str, Any]:
    import pyarrow as pa

    snapshots, width = len(history.steps), len(candidates)
    rows = snapshots * len(tasks)
    ids = pa.array([candidate.id for candidate in candidates])
    costs = np.array([candidate.parameters for candidate in candidates], dtype=np.int64)
    return {
        "step": pa.array(np.repeat(np.array(history.steps, dtype=np.int64), len(tasks) * width)),
        "task": pa.array(list(tasks)).take(np.tile(np.repeat(np.arange(len(tasks)), width), snapshots)),
        "candidate": ids.take(np.tile(np.arange(width), rows)),
        "value": pa.array(torch.stack(history.values).double().numpy().ravel()),
        "parameters": pa.array(np.tile(costs, rows)),
    }
