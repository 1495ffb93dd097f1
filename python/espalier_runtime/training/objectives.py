"""What a task is trained on: the loss of a row, what the model says to it, and what it thereby predicts.

One protocol for every kind of task; the model asks the objective of each row's task and knows no kind itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from espalier_runtime.backbone.heads import Head, Pooling, pool
from espalier_runtime.tasks.corpus import Batch
from espalier_runtime.tasks.task import TaskKind


class Reading:
    """What the backbone made of a batch: its states, of which each objective takes what it needs."""

    def __init__(self, batch: Batch, states: Tensor | None, pooling: Pooling, pooled: Tensor | None = None) -> None:
        """`states` as the batch's inputs are laid; None where `pooled` (sequences, hidden) is given in their place.

        That are frozen features, or a mix of all layers.
        """
        self.batch = batch
        self._states = states
        self._pooling: Pooling = pooling
        self._given = pooled

    def pooled(self, rows: Sequence[int]) -> Tensor:
        """(sequences, hidden) of these rows of the batch."""
        return self._pooled.index_select(0, self._index(self.batch.sequences(rows)))

    def labels(self, rows: Sequence[int]) -> Tensor:
        """(rows,)."""
        return self.batch.labels.index_select(0, self._index(rows))

    def completions(self, rows: Sequence[int]) -> tuple[list[Tensor], list[Tensor]]:
        """Of each row, the states (tokens, hidden) that each token of its completion is told from, and those tokens."""
        layout = self.batch.inputs.layout
        assert self._states is not None, "pooled states cannot be read token by token"
        states, ids = layout.rows(self._states), layout.rows(self.batch.inputs.input_ids)
        told_from, tokens = [], []
        for row in self.batch.sequences(rows):
            completion = self.batch.completions[row]
            assert completion is not None
            told_from.append(states[row][completion.start - 1 : -1])
            tokens.append(ids[row][completion.start :])
        return told_from, tokens

    @cached_property
    def _pooled(self) -> Tensor:
        if self._given is not None:
            return self._given
        assert self._states is not None
        return pool(self._states, self.batch.inputs.layout, self._pooling)

    def _index(self, places: Sequence[int]) -> Tensor:
        return torch.tensor(places, device=self.batch.labels.device)


class Objective(Protocol):
    """How the rows of one task are trained and judged."""

    def losses(self, head: Head, reading: Reading, rows: Sequence[int]) -> Tensor:
        """One loss a row, (rows,)."""

    def outputs(self, head: Head, reading: Reading, rows: Sequence[int]) -> Tensor:
        """What the model says to each row, (rows, columns)."""

    def predictions(self, outputs: Tensor) -> Tensor:
        """What follows from all rows' outputs (rows, columns): class or candidate indices, or values, (rows,)."""

    def mean_loss(self, outputs: Tensor, labels: Tensor) -> float:
        """How wrong the outputs are on the mean, on a scale that does not depend on the labels' unit."""


class _Classes:
    """Cross-entropy of the logits (rows, classes)."""

    def losses(self, head: Head, reading: Reading, rows: Sequence[int]) -> Tensor:
        return head.losses(head(reading.pooled(rows)), reading.labels(rows))

    def outputs(self, head: Head, reading: Reading, rows: Sequence[int]) -> Tensor:
        return head.values(reading.pooled(rows))

    def predictions(self, outputs: Tensor) -> Tensor:
        return outputs.argmax(1)

    def mean_loss(self, outputs: Tensor, labels: Tensor) -> float:
        return float(functional.cross_entropy(outputs, labels.long()))


class _Values(_Classes):
    """The squared error in standard deviations of the labels; outputs (rows, 1) are in the labels' unit."""

    def predictions(self, outputs: Tensor) -> Tensor:
        return outputs.squeeze(1)

    def mean_loss(self, outputs: Tensor, labels: Tensor) -> float:
        return float((outputs.squeeze(1) - labels).square().mean() / labels.var().clamp_min(1e-12))


class _Choices(_Classes):
    """Cross-entropy over a row's candidates, each scored by the head's one output for its own sequence.

    Outputs (rows, most candidates of a row); those that a shorter row lacks are -inf.
    """

    def losses(self, head: Head, reading: Reading, rows: Sequence[int]) -> Tensor:
        scores = self.outputs(head, reading, rows)
        return functional.cross_entropy(scores, reading.labels(rows).long(), reduction="none")

    def outputs(self, head: Head, reading: Reading, rows: Sequence[int]) -> Tensor:
        scores = head.values(reading.pooled(rows)).squeeze(1)
        counts = [reading.batch.counts[row] for row in rows]
        return torch.nn.utils.rnn.pad_sequence(
            list(torch.split(scores, counts)), batch_first=True, padding_value=-torch.inf
        )


class _Completions:
    """The mean cross-entropy of a completion's tokens, each told from all before it; the prompt's do not count.

    loss = -1/n sum_i log p(y_i | prompt, y_<i)        outputs = -loss, (rows, 1)

    What is predicted, and the score, come from the text that the model writes (training/generate.py).
    """

    def losses(self, head: Head, reading: Reading, rows: Sequence[int]) -> Tensor:
        states, tokens = reading.completions(rows)
        each = functional.cross_entropy(head(torch.cat(states)), torch.cat(tokens), reduction="none")
        return torch.stack([part.mean() for part in torch.split(each, [len(ids) for ids in tokens])])

    def outputs(self, head: Head, reading: Reading, rows: Sequence[int]) -> Tensor:
        return -self.losses(head, reading, rows).unsqueeze(1)

    def predictions(self, outputs: Tensor) -> Tensor:
        return outputs.squeeze(1)

    def mean_loss(self, outputs: Tensor, labels: Tensor) -> float:  # noqa: ARG002
        return -float(outputs.mean())


OBJECTIVES: dict[TaskKind, Objective] = {
    "classification": _Classes(),
    "regression": _Values(),
    "multipleChoice": _Choices(),
    "generation": _Completions(),
}
