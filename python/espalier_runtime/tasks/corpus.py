"""The rows of one or several tasks as one list of token ids, and the batches made from it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from espalier_runtime.tasks.tokenise import TokenIds, truncated_count


@dataclass(frozen=True)
class Batch:
    """Rows padded on the right to the longest; `task_ids` and `labels` (batch,), the rest (batch, seq).

    `features` (batch, hidden), where given, are the frozen backbone's pooled states, and the ids are not needed.
    """

    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor | None
    task_ids: Tensor
    labels: Tensor
    features: Tensor | None


class Corpus:
    """Token ids, task and label of every row. `features` (rows, hidden) may be set once they are computed."""

    def __init__(
        self,
        task_names: Sequence[str],
        rows: Sequence[tuple[int, TokenIds, float]],
        pad_id: int,
        device: torch.device,
    ) -> None:
        """`rows` are (task id, token ids, label)."""
        self.task_names = tuple(task_names)
        self.task_ids = [task for task, _, _ in rows]
        self.labels = [label for _, _, label in rows]
        self.lengths = [len(tokens.input_ids) for _, tokens, _ in rows]
        self.features: Tensor | None = None
        self._tokens = [tokens for _, tokens, _ in rows]
        self._pad_id = pad_id
        self._device = device

    def __len__(self) -> int:
        return len(self._tokens)

    @property
    def truncated(self) -> int:
        """How many rows lost tokens to the length limit."""
        return truncated_count(self._tokens)

    def name_of(self, row: int) -> str:
        """The row as messages call it: task, and number among the task's rows from 1 on."""
        task = self.task_ids[row]
        return f"{self.task_names[task]}#{sum(1 for other in self.task_ids[: row + 1] if other == task)}"

    def of_task(self, task: int) -> list[int]:
        """The rows of the task with this id."""
        return [row for row, owner in enumerate(self.task_ids) if owner == task]

    def with_features(self, features: Tensor) -> Corpus:
        """The same rows, whose batches carry `features` (rows, hidden)."""
        other = copy.copy(self)
        other.features = features
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
        other.features = None if self.features is None else self.features[kept]
        return other

    def batch(self, rows: Sequence[int]) -> Batch:
        """The rows as one padded batch."""
        longest = max(self.lengths[row] for row in rows)
        has_types = self._tokens[rows[0]].token_type_ids is not None
        ids = torch.full((len(rows), longest), self._pad_id, dtype=torch.long)
        mask = torch.zeros(len(rows), longest, dtype=torch.long)
        types = torch.zeros(len(rows), longest, dtype=torch.long) if has_types else None
        for place, row in enumerate(rows):
            tokens, length = self._tokens[row], self.lengths[row]
            ids[place, :length] = torch.as_tensor(tokens.input_ids)
            mask[place, :length] = 1
            if types is not None:
                types[place, :length] = torch.as_tensor(tokens.token_type_ids)
        return Batch(
            input_ids=ids.to(self._device),
            attention_mask=mask.to(self._device),
            token_type_ids=None if types is None else types.to(self._device),
            task_ids=torch.tensor([self.task_ids[row] for row in rows], device=self._device),
            labels=torch.tensor([self.labels[row] for row in rows], dtype=torch.float64).to(self._device),
            features=None if self.features is None else self.features[list(rows)],
        )
