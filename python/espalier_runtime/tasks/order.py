"""The order in which a loop sees its rows: epoch after epoch, batch after batch, and where in it the loop stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from espalier_runtime.tasks.corpus import Corpus


class BatchOrder:
    """Endless batches of `rows` of a corpus, in an order that the seed alone sets."""

    def __init__(self, corpus: Corpus, rows: Sequence[int], batch_size: int, seed: int) -> None:
        self._corpus, self._rows, self._batch_size, self._seed = corpus, list(rows), batch_size, seed
        self._epoch, self._place = 0, 0
        self._batches = self._of_epoch()

    def next(self) -> list[int]:
        """The rows of the next batch."""
        if self._place == len(self._batches):
            self._epoch, self._place = self._epoch + 1, 0
            self._batches = self._of_epoch()
        self._place += 1
        return self._batches[self._place - 1]

    @property
    def epoch_is_over(self) -> bool:
        """Whether the last batch was the last of its epoch."""
        return self._place == len(self._batches)

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self._epoch, "place": self._place}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._epoch, self._place = state["epoch"], state["place"]
        self._batches = self._of_epoch()

    def _of_epoch(self) -> list[list[int]]:
        return self._corpus.batches(self._rows, self._batch_size, self._seed, self._epoch)
