"""The fused group: all chunks of one kind at one site as one down product, one gated inner layer, one up product."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from espalier_runtime.adapters.base import AdapterKind
from espalier_runtime.backbone.sites import Site


class AdapterGroup(nn.Module):
    """h' = h + s * W_up (z . f(W_down v)), with R the sum of the chunks' sizes.

    down: (R, width of v); up: (width of h, R), zero at init, so that the group starts as an exact no-op.
    `gates` z of the current batch: None for all open, else (batch, 1, R).
    """

    gates: Tensor | None

    def __init__(self, kind: AdapterKind, site: Site, chunks: Sequence[tuple[int, int]], seed: int) -> None:
        """`chunks` are the (start, size) of the site's chosen chunks, in order of start.

        A unit's initial row depends on seed, site, kind and its index alone: two structures that share a unit start it
        at the same weights. Rows are uniform in +-1/sqrt(width), as PEFT starts a LoRA's A.
        """
        super().__init__()
        self.kind = kind
        self.site = site
        self.gates = None
        width, outputs = kind.widths(site)
        units = [unit for start, size in chunks for unit in range(start, start + size)]
        bound = 1 / math.sqrt(width)
        generator = torch.Generator().manual_seed(_seed_of(seed, site.name, kind.name))
        rows = torch.rand(max(units) + 1, width, generator=generator).mul_(2 * bound).sub_(bound)
        self.down = nn.Parameter(rows[units].clone())
        self.up = nn.Parameter(torch.zeros(outputs, len(units)))

    @property
    def reads(self) -> Literal["input", "output"]:
        return self.kind.reads

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """h' of h (batch, seq, outputs) and x (batch, seq, inputs), or of both without the first dimension."""
        v = x if self.kind.reads == "input" else h
        inner = self._gated(self.kind.inner(v @ self.down.t()))
        # addmm adds the low-rank product to h in one pass, without a tensor of h's size in between.
        flat = torch.addmm(
            h.reshape(-1, h.shape[-1]), inner.reshape(-1, inner.shape[-1]), self.up.t(), alpha=self.kind.scale
        )
        return flat.view(h.shape)

    def _gated(self, inner: Tensor) -> Tensor:
        """z * inner; a model may lay the rows of a batch one after the other, as OPT's MLP does: (batch * seq, R)."""
        if self.gates is None:
            return inner
        if inner.dim() == 3:
            return inner * self.gates
        return (inner.view(self.gates.shape[0], -1, inner.shape[-1]) * self.gates).flatten(0, 1)


def _seed_of(seed: int, *names: str) -> int:
    digest = hashlib.sha256(f"{seed}/{'/'.join(names)}".encode()).digest()
    return int.from_bytes(digest[:7], "big")
