"""Multi-head parallel adapter: one small adapter a head, which changes the head's output before the heads are joined.

    a_i' = a_i + s W_up,i f(W_down,i x_i)        i = 1..N,  W_up = 0 at init

a_i is the output of head i and x_i the i-th of N equal slices of the attention's input. A unit is one inner dimension
of every head. Source: He et al., arXiv 2110.04366, which does not say what a head's adapter reads; the slice is our
reading, with which r units cost as much as a prefix of r tokens. Cost of a unit: hidden + heads * head width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from espalier_runtime import contract
from espalier_runtime.adapters.base import Adapter, AdapterKind, Chunks, Hook, entry_of, unit_rows
from espalier_runtime.adapters.projections import activate
from espalier_runtime.backbone.sites import Site


@dataclass(frozen=True, kw_only=True)
class MultiHeadKind(AdapterKind):
    """f by the name of its `activation`, s = `scale`."""

    activation: str
    scale: float

    def parameters(self, site: Site, size: int) -> int:
        return size * (entry_of(site).inputs + site.inputs)

    def applies(self, slots: Sequence[str], site: Site) -> bool:
        # A head's slice of x is there where the heads share it out evenly.
        return super().applies(slots, site) and entry_of(site).inputs % site.heads == 0

    def build(self, site: Site, chunks: Chunks, seed: int) -> MultiHeadParallel:
        return MultiHeadParallel(self, site, chunks, seed)


class MultiHeadParallel(Adapter):
    """down (R, N, slice of x), up (R, N, head width)."""

    unit_dimensions: ClassVar = {"down": 0, "up": 0}
    linear_in: ClassVar = ("up",)
    kind: MultiHeadKind

    def __init__(self, kind: MultiHeadKind, site: Site, chunks: Chunks, seed: int) -> None:
        super().__init__(kind, site, chunks)
        width = entry_of(site).inputs // site.heads
        rows = unit_rows(seed, site, kind.name, self.indices, site.heads, width)
        self.down = nn.Parameter(rows / math.sqrt(width))
        self.up = nn.Parameter(torch.zeros(len(self.indices), site.heads, site.inputs // site.heads))

    def hooks(self) -> list[Hook]:
        return [Hook(entry_of(self.site), before=self._remember), Hook(self.site, before=self.joined)]

    def joined(self, a: Tensor) -> Tensor:
        """The heads' outputs a' (batch, seq, heads * head width) that the output projection reads."""
        entered, self._entered = self._entered, None
        assert entered is not None
        x = entered.view(*entered.shape[:-1], self.site.heads, -1)
        inner = activate(self.kind.activation, torch.einsum("...nd,rnd->...nr", x, self.down))
        z = self.open_units(a)
        if z is not None:
            inner = inner * z.unsqueeze(-2)
        return a + self.kind.scale * torch.einsum("...nr,rnd->...nd", inner, self.up).flatten(-2)


def multi_head_parallel(spec: contract.MultiHeadParallelKind) -> MultiHeadKind:
    """The kind that `spec` describes."""
    return MultiHeadKind(
        name="multiHeadParallel",
        source="arXiv 2110.04366",
        equation="a_i + s W_up,i f(W_down,i x_i), a head i each",
        slots=("attention.output",),
        reads="entry",
        sizes=tuple(spec.sizes),
        activation=spec.activation,
        scale=spec.scale,
    )
