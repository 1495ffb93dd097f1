"""What does not fit the memory at once: batches in parts, and smaller parts where memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from espalier_runtime.errors import EspalierError, TrialError
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.training.checkpoint import Warn

Result = TypeVar("Result")


class MicroBatches:
    """Cuts batches into parts of at most `max_tokens` tokens, whose gradients are accumulated.

    Where a batch runs out of memory, the parts are halved from then on and the batch is run again whole: the effective
    batch never changes. Raises TrialError where a single row is too much.
    """

    def __init__(self, corpus: Corpus, max_tokens: int, warn: Warn) -> None:
        self.max_tokens = max_tokens
        self._corpus, self._warn = corpus, warn

    def of(self, batch: Sequence[int]) -> list[list[int]]:
        """The parts of a batch of row indices."""
        return self._corpus.parts(batch, self.max_tokens)

    def run(
        self,
        batch: Sequence[int],
        whole: Callable[[list[list[int]]], Result],
        restart: Callable[[], None] = lambda: None,
    ) -> Result:
        """`whole(parts)`; after memory ran out in it, `restart()` and again with smaller parts."""
        while True:
            parts = self.of(batch)
            try:
                return whole(parts)
            except (MemoryError, RuntimeError) as error:
                if not ran_out_of_memory(error):
                    raise
                message = str(error).splitlines()[0]
            # Outside of the handler: the error's traceback would keep the failed part's activations alive.
            self._halve(parts, message)
            restart()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def state_dict(self) -> dict[str, Any]:
        return {"max_tokens": self.max_tokens}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.max_tokens = state["max_tokens"]

    def _halve(self, parts: list[list[int]], message: str) -> None:
        largest = max(parts, key=self._corpus.tokens)
        if all(len(part) == 1 for part in parts):
            raise TrialError(
                f"memory ran out at a single row of {self._corpus.tokens(largest)} tokens: {message}",
                mend="Lower training.maxLength, or turn on training.gradientCheckpointing.",
            )
        self.max_tokens = self._corpus.tokens(largest) // 2
        self._warn(
            f"memory ran out: rows now go through the model in parts of at most {self.max_tokens} tokens"
            " (training.maxTokens); a step still sees its whole batch"
        )


@contextmanager
def memory_named(what: str, kind: type[EspalierError] = TrialError) -> Iterator[None]:
    """Within the context memory that runs out is an error of `kind` that says so of `what`, and what mends it."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not ran_out_of_memory(error):
            raise
        raise kind(
            f"memory ran out in {what}: {str(error).splitlines()[0]}",
            mend="Lower training.maxTokens, the tokens that go through the model at once, or training.maxLength.",
        ) from error


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether memory, of the GPU or of the machine, is what ran out."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
