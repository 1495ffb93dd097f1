"""The fused group: all chunks of one kind at one site as one down product, one gated inner layer, one up product."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from espalier_runtime.adapters.base import Adapter, Chunks, unit_rows
from espalier_runtime.adapters.fused import FusedKind
from espalier_runtime.backbone.sites import Site


class AdapterGroup(Adapter):
    """h' = h + s * W_up (z . f(W_down v)), with R the sum of the chunks' sizes.

    down: (R, width of v), uniform in +-1/sqrt(width) as PEFT starts a LoRA's A; up: (width of h, R), zero at init, so
    that the group starts as an exact no-op.
    """

    unit_dimensions: ClassVar = {"down": 0, "up": 1}
    kind: FusedKind

    def __init__(self, kind: FusedKind, site: Site, chunks: Chunks, seed: int) -> None:
        super().__init__(kind, site, chunks)
        width, outputs = kind.widths(site)
        self.down = nn.Parameter(unit_rows(seed, site, kind.name, self.indices, width) / math.sqrt(width))
        self.up = nn.Parameter(torch.zeros(outputs, len(self.indices)))

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """h' of h (batch, seq, outputs) and x (batch, seq, inputs), or of both without the first dimension."""
        down = _down(self.read(x, h), self.down)
        inner = self.kind.inner(down, self.open_units(down))
        # addmm adds the low-rank product to h in one pass, without a tensor of h's size in between.
        flat = torch.addmm(
            h.reshape(-1, h.shape[-1]),
            inner.reshape(-1, inner.shape[-1]),
            self.up.t().contiguous(),
            alpha=self.kind.scale,
        )
        return flat.view(h.shape)

    def low_rank(self, units: Tensor, task: int) -> tuple[Tensor, Tensor, float]:  # noqa: ARG002
        return self.down[units], self.up[:, units], self.kind.scale


def _down(v: Tensor, weight: Tensor) -> Tensor:
    """v W_down^T, (..., R), laid out unit after unit.

    Libraries multiply a wide matrix by a narrow one up to five times faster when the narrow one stands on the left and
    its rows lie in one piece. So laid out, the product and all of its gradients, and with a W_up^T whose rows lie in
    one piece those of the product up, are of that form: autograd keeps to the layouts that it meets.
    """
    return (weight @ v.reshape(-1, v.shape[-1]).t()).t().view(*v.shape[:-1], len(weight))
