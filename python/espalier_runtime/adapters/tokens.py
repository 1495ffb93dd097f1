"""What adapters may know of the tokens that run through a model: which is a row's first, and which is padding.

It is heard from the model's own call, so that it holds for padded batches, for rows that lie one after the other, and
for a decoder that goes on from cached keys and values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from espalier_runtime.backbone.attention import STACKS


class Tokens:
    """The tokens of the current forward, counted through the rows.

    `kept` (K,), within a sub-block that runs for some tokens only: which those are.
    """

    def __init__(self) -> None:
        self.kept: Tensor | None = None
        self._count = 0
        self._batch: int | None = None
        self._mask: Tensor | None = None
        self._past = 0
        self._stacks: Sequence[tuple[int, int]] | None = None

    def hear(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Takes in the arguments of the model's forward."""
        given = next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
        mask, cache = kwargs.get("attention_mask"), kwargs.get("cache", kwargs.get("past_key_values"))
        self._batch = None if given is None else len(given)
        self._mask = mask if isinstance(mask, Tensor) and mask.dim() == 2 else None
        self._past = 0 if cache is None else int(cache.get_seq_length())
        self._stacks = kwargs.get(STACKS)
        self.kept = None

    def real(self, values: Tensor) -> Tensor:
        """(tokens,), true where `values` (batch, seq, width), or (tokens, width), are no padding's."""
        count = values[..., 0].numel()
        if self._mask is None:
            return torch.ones(count, dtype=torch.bool, device=values.device)
        return self._mask[:, -(count // len(self._mask)) :].flatten().bool()

    def first(self, values: Tensor) -> Tensor:
        """(tokens,), true at the first token of each row."""
        count = values[..., 0].numel()
        if self._stacks is not None:
            lengths = torch.tensor([length for rows, length in self._stacks for _ in range(rows)])
            starts = (lengths.cumsum(0) - lengths).to(values.device)
            return torch.zeros(count, dtype=torch.bool, device=values.device).index_fill(0, starts, True)
        if self._mask is not None:
            whole = self._mask.bool()
            return (whole & (whole.cumsum(1) == 1))[:, -(count // len(whole)) :].flatten()
        places = torch.arange(count // self._rows(values), device=values.device) + self._past
        return (places == 0).repeat(self._rows(values))

    def each(self, of_rows: Tensor, values: Tensor) -> Tensor:
        """(tokens, columns) of what rows have, (batch, 1, columns), or tokens, (1, tokens, columns)."""
        rows = self._rows(values)
        return of_rows.expand(rows, values[..., 0].numel() // rows, -1).flatten(0, 1)

    def narrow(self, values: Tensor, kept: Tensor) -> Tensor:
        """The `kept` of `values` (batch, seq, width) as (1, K, width), or of (tokens, width) as (K, width)."""
        self.kept, self._count = kept, values[..., 0].numel()
        return values.flatten(0, -2)[kept].view(*([1] * (values.dim() - 2)), len(kept), values.shape[-1])

    def widen(self, values: Tensor, shape: torch.Size) -> Tensor:
        """(*shape, width) of the kept tokens' `values`, with zeros for the others."""
        assert self.kept is not None
        whole = values.new_zeros(self._count, values.shape[-1]).index_copy(0, self.kept, values.flatten(0, -2))
        self.kept = None
        return whole.view(*shape, -1)

    def of_kept(self, of_rows: Tensor) -> Tensor:
        """(K, columns) of what rows have, (batch, 1, columns), or tokens, (1, tokens, columns)."""
        assert self.kept is not None
        rows = self._batch or len(of_rows)
        return of_rows.expand(rows, self._count // rows, -1).flatten(0, 1)[self.kept]

    def _rows(self, values: Tensor) -> int:
        return self._batch or (len(values) if values.dim() == 3 else 1)
