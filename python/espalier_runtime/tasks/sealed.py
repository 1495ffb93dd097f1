"""The evaluation splits of a run, which nothing but a final evaluation may see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from espalier_runtime.tasks.corpus import Corpus


class SealedError(Exception):
    """The evaluation split was asked for where it must not be seen: a fault of the program, never of a trial."""


class SealedSplits:
    """One corpus a task, handed out once to each reader, and to nobody while something is trained or chosen."""

    def __init__(self, corpora: Sequence[Corpus]) -> None:
        self._corpora = tuple(corpora)
        self._readers: list[str] = []
        self._work: list[str] = []

    @property
    def readers(self) -> tuple[str, ...]:
        """Who has read the splits, in order."""
        return tuple(self._readers)

    def open(self, reader: str) -> tuple[Corpus, ...]:
        """The splits in the order of the tasks. Raises SealedError for a second reading, and while work goes on."""
        if self._work:
            raise SealedError(f"{reader} asked for the evaluation split during {self._work[-1]}")
        if reader in self._readers:
            raise SealedError(f"{reader} asked for the evaluation split a second time")
        self._readers.append(reader)
        return self._corpora

    @contextmanager
    def shut(self, work: str) -> Iterator[None]:
        """Within the context, which is the `work` of training or choosing, nobody may read."""
        self._work.append(work)
        try:
            yield
        finally:
            self._work.pop()
