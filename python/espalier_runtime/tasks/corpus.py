"""The rows of one or several tasks as one list of token ids, and the batches made from it."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain
from typing import Protocol

import torch
from torch import Tensor

from espalier_runtime.backbone.inputs import Inputs
from espalier_runtime.backbone.layout import Packed, Padded
from espalier_runtime.errors import InputError
from espalier_runtime.tasks.batching import carve, micro_batches, training_batches
from espalier_runtime.tasks.tokenise import Completion, Sequences, TokenIds, truncated_count

#: Padded batches are drawn from so many batches' rows at once, so that rows of like length can share one.
WINDOW = 20


@dataclass(frozen=True)
class Batch:
    """What the backbone reads of some rows; `task_ids` and `labels` (batch,).

    Row r has `counts[r]` sequences: one, or, in a multiple choice, one a candidate; they follow each other in the
    inputs. `completions` are those of the sequences. `features` (sequences, hidden), where given, are the frozen
    backbone's pooled states, and the inputs are not needed.
    """

    inputs: Inputs
    task_ids: Tensor
    labels: Tensor
    features: Tensor | None
    counts: tuple[int, ...]
    completions: tuple[Completion | None, ...]

    @property
    def sequence_tasks(self) -> Tensor:
        """(sequences,): the task of each sequence."""
        if len(self.completions) == len(self.counts):
            return self.task_ids
        return self.task_ids.repeat_interleave(torch.tensor(self.counts, device=self.task_ids.device))

    def sequences(self, rows: Sequence[int]) -> list[int]:
        """Where the sequences of these rows of the batch are."""
        ends = list(accumulate(self.counts))
        return [place for row in rows for place in range(ends[row] - self.counts[row], ends[row])]


class Prefixes(Protocol):
    """Where the states of a corpus' rows that a frozen part of the backbone gives are kept."""

    def entering(self, corpus: Corpus, layer: int) -> Callable[[Sequence[int]], list[Tensor]]:
        """A function from rows of `corpus` to the states (length, hidden) that enter `layer`, one for each."""


class Corpus:
    """Token ids, task and label of every row. `features` (sequences, hidden) may be set once they are computed.

    `packed`: the rows of a batch lie one after the other, instead of padded to the longest.
    """

    def __init__(
        self,
        task_names: Sequence[str],
        rows: Sequence[tuple[int, Sequences, float]],
        pad_id: int,
        device: torch.device,
        *,
        packed: bool = False,
        classified: Collection[int] = (),
    ) -> None:
        """`rows` are (task id, token ids, label); the labels of the tasks `classified` are classes."""
        self.task_names = tuple(task_names)
        self.task_ids = [task for task, _, _ in rows]
        self.labels = [label for _, _, label in rows]
        self._tokens = [(tokens,) if isinstance(tokens, TokenIds) else tuple(tokens) for _, tokens, _ in rows]
        self.lengths = _lengths(self._tokens)
        self.features: Tensor | None = None
        self.packed = packed
        self._classified = frozenset(classified)
        # Without padding rows of unlike length cost nothing, and the order is that of an ordinary loop.
        self._window = 1 if packed else WINDOW
        #: Keeps what the frozen backbone gives for these rows, where such a cache is set.
        self.cache: Prefixes | None = None
        self._whole, self._places = self, list(range(len(rows)))
        self._entering: Callable[[Sequence[int]], list[Tensor]] | None = None
        self._start = 0
        self._ends: list[int] | None = None
        self._pad_id = pad_id
        self._device = device

    def __len__(self) -> int:
        return len(self._tokens)

    @property
    def truncated(self) -> int:
        """How many rows lost tokens to the length limit."""
        return sum(truncated_count(tokens) > 0 for tokens in self._tokens)

    def name_of(self, row: int) -> str:
        """The row as messages call it: task, and number from 1 on among all the rows that the task was given."""
        task, place = self.task_ids[row], self._places[row]
        return f"{self.task_names[task]}#{sum(1 for other in self._whole.task_ids[: place + 1] if other == task)}"

    def of_task(self, task: int) -> list[int]:
        """The rows of the task with this id."""
        return [row for row, owner in enumerate(self.task_ids) if owner == task]

    @property
    def has_choices(self) -> bool:
        """Whether a row has several sequences."""
        return any(len(tokens) > 1 for tokens in self._tokens)

    def row(self, row: int) -> tuple[TokenIds, ...]:
        """The tokens of a row's sequences."""
        return self._tokens[row]

    def sequences(self, rows: Sequence[int]) -> list[int]:
        """Where the sequences of these rows are among those of all rows."""
        if self._ends is None:
            self._ends = list(accumulate(len(tokens) for tokens in self._tokens))
        ends = self._ends
        return [place for row in rows for place in range(ends[row] - len(self._tokens[row]), ends[row])]

    def with_features(self, features: Tensor) -> Corpus:
        """The same rows, whose batches carry `features` (sequences, hidden)."""
        other = copy.copy(self)
        other.features = features
        return other

    def mapped(self, change: Callable[[int, TokenIds], TokenIds]) -> Corpus:
        """The corpus with what `change` makes of a row's number and the tokens of each of its sequences, all anew."""
        other = self.uncached()
        vars(other).pop("content", None)
        other._whole, other._places = other, list(range(len(self)))
        other._tokens = [tuple(change(row, one) for one in tokens) for row, tokens in enumerate(self._tokens)]
        other.lengths, other._ends = _lengths(other._tokens), None
        return other

    def uncached(self) -> Corpus:
        """The same rows, all of whose states are computed anew and not kept."""
        other = copy.copy(self)
        other.features, other.cache, other._entering, other._start = None, None, None, 0
        return other

    def without(self, rows: Sequence[int]) -> Corpus:
        """The corpus less `rows`."""
        aside = set(rows)
        kept = [row for row in range(len(self)) if row not in aside]
        other = copy.copy(self)
        other.task_ids = [self.task_ids[row] for row in kept]
        other.labels = [self.labels[row] for row in kept]
        other.lengths = [self.lengths[row] for row in kept]
        other._tokens = [self._tokens[row] for row in kept]
        other._places = [self._places[row] for row in kept]
        vars(other).pop("content", None)
        other._ends = None
        other.features = None if self.features is None else self.features[self.sequences(kept)]
        return other

    def held_out(self, fraction: float, seed: int) -> list[int]:
        """`fraction` of each task's rows, ascending, as `carve` draws them, classes in proportion.

        Raises InputError where a task has a single row.
        """
        aside: list[int] = []
        for task in sorted(set(self.task_ids)):
            rows = self.of_task(task)
            if len(rows) < 2:
                raise InputError(
                    f"tasks.{self.task_names[task]}: it has a single training row, of which none can be held out",
                    mend='Give it more rows; earlyStopping, tune, level "bilevel", ablation and race hold some out.',
                )
            labels = [int(self.labels[row]) for row in rows] if task in self._classified else None
            aside += [rows[place] for place in carve(len(rows), fraction, seed, labels)[1]]
        return sorted(aside)

    def at_most(self, count: int) -> Corpus:
        """The corpus cut down to `count` rows, spread evenly over it; itself where it has no more.

        Of n rows, row floor((i + 1/2) n / count) for i = 0, ..., count - 1.
        """
        if len(self) <= count:
            return self
        kept = {(2 * place + 1) * len(self) // (2 * count) for place in range(count)}
        return self.without([row for row in range(len(self)) if row not in kept])

    def padded(self) -> Corpus:
        """The same rows in the same batches, padded."""
        other = copy.copy(self)
        other.packed = False
        return other

    def starting_at(self, layer: int) -> Corpus:
        """The same rows, whose batches carry the states that enter `layer`; without a cache the corpus itself.

        Nothing below the layer may be trained.
        """
        if self.cache is None or layer == 0 or self.features is not None:
            return self
        other = copy.copy(self)
        other._entering, other._start = self.cache.entering(self._whole, layer), layer
        return other

    @cached_property
    def content(self) -> str:
        """sha256 of every row's tokens, in order."""
        digest = hashlib.sha256()
        for tokens in chain.from_iterable(self._tokens):
            digest.update(f"{tokens.input_ids} {tokens.token_type_ids}\n".encode())
        return digest.hexdigest()

    def batches(self, rows: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
        """The rows of each batch of an epoch over `rows`, in an order that `seed` and `epoch` set."""
        lengths = [self.lengths[row] for row in rows]
        return [
            [rows[index] for index in batch]
            for batch in training_batches(lengths, batch_size, seed, epoch, self._window)
        ]

    def tokens(self, rows: Sequence[int]) -> int:
        """Tokens of the rows as one batch, with its padding."""
        lengths = [self.lengths[row] for row in rows]
        return sum(lengths) if self.packed else len(rows) * max(lengths)

    def parts(self, rows: Sequence[int], max_tokens: int) -> list[list[int]]:
        """The rows in parts of at most `max_tokens` tokens each, whole where they fit.

        Else longest first. A row longer than `max_tokens` is a part of its own.
        """
        if rows and self.tokens(rows) <= max_tokens:
            return [list(rows)]
        return micro_batches(rows, self.lengths, max_tokens, packed=self.packed)

    def in_parts(self, max_tokens: int) -> list[list[int]]:
        """All rows, longest first, in parts of at most `max_tokens` tokens each."""
        return micro_batches(range(len(self)), self.lengths, max_tokens, packed=self.packed)

    def batch(self, rows: Sequence[int]) -> Batch:
        """The rows as one batch."""
        tokens = [tokens for row in rows for tokens in self._tokens[row]]
        layout = (Packed if self.packed else Padded).of([len(one.input_ids) for one in tokens], self._device)
        ids = layout.lay([row.ids for row in tokens], self._pad_id)
        types = None
        if tokens[0].token_type_ids is not None:
            types = layout.lay([row.types for row in tokens]).to(self._device)
        entering = None if self._entering is None else self._entering([self._places[row] for row in rows])
        return Batch(
            inputs=Inputs(
                layout,
                ids.to(self._device),
                types,
                entering=None if entering is None else layout.lay(entering),
                start=self._start,
            ),
            task_ids=torch.tensor([self.task_ids[row] for row in rows], device=self._device),
            labels=torch.tensor([self.labels[row] for row in rows], dtype=torch.float64).to(self._device),
            features=None if self.features is None else self.features[self.sequences(rows)],
            counts=tuple(len(self._tokens[row]) for row in rows),
            completions=tuple(one.completion for one in tokens),
        )


def _lengths(rows: Sequence[Sequence[TokenIds]]) -> list[int]:
    """The tokens of each row: of a multiple choice those of all candidates, padded to the longest."""
    return [len(row) * max(len(one.input_ids) for one in row) for row in rows]
