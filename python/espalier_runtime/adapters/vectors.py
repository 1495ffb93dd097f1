"""Kinds whose unit is a whole vector or two at a site. All start as exact no-ops; several units at a site add up.

    bitfit       h' = h + z b                        at a linear
    ia3          h' = (1 + z l) . h                  at key and value;  x' = (1 + z l) . x  into mlp.down
    normTuning   h' = (1 + z u) . h + z b            after a norm
    kernelScale  h_i' = (1 + z s) . h_i              at query and key, one s of a head's width for all heads i

bitfit: Ben Zaken et al., arXiv 2106.10199; biases of linears, those of norms belong to normTuning. ia3: Liu et al.,
arXiv 2205.05638. normTuning: a norm's weight w and bias c become w . (1 + u) and c . (1 + u) + b, which reaches every
weight and bias wherever w has no zero; our parametrisation, so that LayerNorm and RMSNorm are one case. kernelScale:
Chen et al., arXiv 2205.03720, a bandwidth of the attention kernel for each dimension.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from espalier_runtime.adapters.base import Adapter, AdapterKind, Chunks, Hook
from espalier_runtime.backbone.sites import LINEAR_SLOTS, NORM_SLOTS, Site


@dataclass(frozen=True, kw_only=True)
class VectorKind(AdapterKind):
    """`scales`: it has a scaling vector; `shifts`: a bias; `tied`: one vector of a head's width for all heads."""

    scales: bool
    shifts: bool
    tied: bool = False

    def side(self, site: Site) -> Literal["input", "output"]:
        """Which side of the module the vectors work on."""
        return "input" if self.name == "ia3" and site.slot == "mlp.down" else "output"

    def parameters(self, site: Site, size: int) -> int:
        return size * self._width(site) * (self.scales + self.shifts)

    def build(self, site: Site, chunks: Chunks, seed: int) -> Vectors:  # noqa: ARG002
        return Vectors(self, site, chunks, self._width(site))

    def _width(self, site: Site) -> int:
        width = site.inputs if self.side(site) == "input" else site.outputs
        return width // site.heads if self.tied else width


class Vectors(Adapter):
    """scale (units, width) and shift (units, width), whichever the kind has, both zero at init."""

    unit_dimensions: ClassVar = {"scale": 0, "shift": 0}
    kind: VectorKind

    def __init__(self, kind: VectorKind, site: Site, chunks: Chunks, width: int) -> None:
        super().__init__(kind, site, chunks)
        units = len(self.indices)
        self.scale = nn.Parameter(torch.zeros(units, width)) if kind.scales else None
        self.shift = nn.Parameter(torch.zeros(units, width)) if kind.shifts else None

    def hooks(self) -> list[Hook]:
        if self.kind.side(self.site) == "input":
            return [Hook(self.site, before=self.apply_to)]
        return [Hook(self.site, after=self)]

    def forward(self, x: Tensor, h: Tensor) -> Tensor:  # noqa: ARG002
        return self.apply_to(h)

    def apply_to(self, values: Tensor) -> Tensor:
        """(1 + z scale) . values + z shift."""
        z = self.open_units(values)
        if self.scale is not None:
            scale = self.scale.sum(0) if z is None else z @ self.scale
            values = values + values * (torch.cat([scale] * self.site.heads, -1) if self.kind.tied else scale)
        if self.shift is not None:
            values = values + (self.shift.sum(0) if z is None else z @ self.shift)
        return values


BITFIT = VectorKind(
    name="bitfit",
    source="arXiv 2106.10199",
    equation="h + b",
    slots=LINEAR_SLOTS,
    mergeable=True,
    scales=False,
    shifts=True,
)
IA3 = VectorKind(
    name="ia3",
    source="arXiv 2205.05638",
    equation="(1 + l) . h at key, value; W ((1 + l) . x) at mlp.down",
    slots=("attention.key", "attention.value", "mlp.down"),
    mergeable=True,
    peft="ia3",
    scales=True,
    shifts=False,
)
NORM_TUNING = VectorKind(
    name="normTuning",
    source="arXiv 2106.10199, norms",
    equation="(1 + u) . h + b",
    slots=NORM_SLOTS,
    mergeable=True,
    scales=True,
    shifts=True,
)
KERNEL_SCALE = VectorKind(
    name="kernelScale",
    source="arXiv 2205.03720",
    equation="(1 + s) . q_i, (1 + s) . k_i, one s for all heads i",
    slots=("attention.query", "attention.key"),
    mergeable=True,
    scales=True,
    shifts=False,
    tied=True,
)
