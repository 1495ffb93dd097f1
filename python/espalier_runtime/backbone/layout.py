"""How the rows of a batch lie in the tensors that the backbone reads.

Padded: one below the other, filled up on the right to the longest, (batch, seq). Packed: one after the other in a
single row of T tokens, the sum of their lengths, (1, T), the shortest first: rows of one length lie together, and
attention takes them as a stack without padding (`attention.py`). Whatever works token by token, which is all but
attention, touches no padding then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


@dataclass(frozen=True)
class Padded:
    """`mask` (batch, seq): 1 where there is a token, 0 where there is none."""

    mask: Tensor

    @classmethod
    def of(cls, lengths: Sequence[int], device: torch.device) -> Padded:
        """The layout of rows of these lengths."""
        places = torch.arange(max(lengths), device=device)
        return cls((places < torch.tensor(lengths, device=device).unsqueeze(1)).long())

    def lay(self, rows: Sequence[Tensor], fill: int = 0) -> Tensor:
        """(batch, seq, ...) of one (tokens, ...) a row."""
        return pad_sequence(list(rows), batch_first=True, padding_value=fill)

    def spread(self, values: Tensor) -> Tensor:
        """(batch, 1, columns), which broadcasts with the tokens, of one (columns,) a row."""
        return values.unsqueeze(1)

    def mean(self, states: Tensor) -> Tensor:
        """(batch, hidden), the mean over each row's tokens of `states` (batch, seq, hidden)."""
        mask = self.mask.unsqueeze(-1).to(states.dtype)
        return (states * mask).sum(1) / mask.sum(1)

    def first(self, states: Tensor) -> Tensor:
        """(batch, hidden) of each row's first token."""
        return states[:, 0]

    def last(self, states: Tensor) -> Tensor:
        """(batch, hidden) of each row's last token."""
        return states[torch.arange(len(states), device=states.device), self.mask.sum(1) - 1]

    def rows(self, states: Tensor) -> list[Tensor]:
        """Each row's own (tokens, hidden)."""
        return [row[:length] for row, length in zip(states, self.mask.sum(1).tolist(), strict=True)]


@dataclass(frozen=True)
class Packed:
    """`lengths` of the rows in the order of the batch."""

    lengths: tuple[int, ...]
    device: torch.device

    @classmethod
    def of(cls, lengths: Sequence[int], device: torch.device) -> Packed:
        """The layout of rows of these lengths."""
        return cls(tuple(lengths), device)

    @cached_property
    def stacks(self) -> tuple[tuple[int, int], ...]:
        """(rows, length) of each distinct length, in the order in which they lie."""
        return tuple((sum(1 for _ in group), length) for length, group in groupby(sorted(self.lengths)))

    @cached_property
    def positions(self) -> Tensor:
        """(1, T): each token's place in its row, from 0 on."""
        lengths = torch.tensor(sorted(self.lengths))
        starts = lengths.cumsum(0) - lengths
        places = torch.arange(int(lengths.sum())) - starts.repeat_interleave(lengths)
        return places.unsqueeze(0).to(self.device)

    def lay(self, rows: Sequence[Tensor], fill: int = 0) -> Tensor:  # noqa: ARG002
        """(1, T, ...) of one (tokens, ...) a row."""
        return torch.cat([rows[row] for row in self._order]).unsqueeze(0)

    def spread(self, values: Tensor) -> Tensor:
        """(1, T, columns): each token has the (columns,) of its row."""
        return values.index_select(0, self._owners).unsqueeze(0)

    def mean(self, states: Tensor) -> Tensor:
        """(batch, hidden), the mean over each row's tokens of `states` (1, T, hidden)."""
        counts = [rows * length for rows, length in self.stacks]
        means = [
            stack.view(rows, length, -1).mean(1)
            for stack, (rows, length) in zip(torch.split(states[0], counts), self.stacks, strict=True)
        ]
        return torch.cat(means).index_select(0, self._ranks)

    def first(self, states: Tensor) -> Tensor:
        """(batch, hidden) of each row's first token."""
        return states[0].index_select(0, self.starts)

    def last(self, states: Tensor) -> Tensor:
        """(batch, hidden) of each row's last token."""
        return states[0].index_select(0, self.ends)

    def rows(self, states: Tensor) -> list[Tensor]:
        """Each row's own (tokens, hidden)."""
        laid = torch.split(states[0], [self.lengths[row] for row in self._order])
        return [laid[rank] for rank in self._ranks.tolist()]

    @cached_property
    def starts(self) -> Tensor:
        """(batch,): where each row's first token lies."""
        return self.ends - torch.tensor(self.lengths, device=self.device) + 1

    @cached_property
    def ends(self) -> Tensor:
        """(batch,): where each row's last token lies."""
        laid = torch.tensor([self.lengths[row] for row in self._order]).cumsum(0).to(self.device) - 1
        return laid.index_select(0, self._ranks)

    @cached_property
    def _order(self) -> list[int]:
        """The batch's rows as they lie."""
        return sorted(range(len(self.lengths)), key=lambda row: self.lengths[row])

    @cached_property
    def _ranks(self) -> Tensor:
        """(batch,): where in that order each row stands."""
        return torch.tensor(self._order).argsort().to(self.device)

    @cached_property
    def _owners(self) -> Tensor:
        """(T,): each token's row of the batch."""
        order = torch.tensor(self._order)
        return order.repeat_interleave(torch.tensor(self.lengths)[order]).to(self.device)


#: Either way of laying a batch.
Layout = Padded | Packed
