"""Kinds that are one vector or two at a site, which belong together: a single unit. All start as exact no-ops.

    bitfit       h' = h + z b                        at a linear
    ia3          h' = (1 + z l) . h                  at key and value;  x' = (1 + z l) . x  into mlp.down
    normTuning   h' = (1 + z u) . h + z b            after a norm (no b where the norm has none)

bitfit: Ben Zaken et al., arXiv 2106.10199; biases of linears, those of norms belong to normTuning. ia3: Liu et al.,
arXiv 2205.05638. normTuning: a norm's weight w and bias c become w . (1 + u) and c . (1 + u) + b, which reaches every
weight and bias wherever w has no zero; our parametrisation, so that LayerNorm and RMSNorm are one case.
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
    """`scales`: it has a scaling vector; `shifts`: it has a bias."""

    scales: bool
    shifts: bool

    def side(self, site: Site) -> Literal["input", "output"]:
        """Which side of the module the vectors work on."""
        return "input" if self.name == "ia3" and site.slot == "mlp.down" else "output"

    def parameters(self, site: Site, size: int) -> int:
        return size * self._width(site) * (self.scales + self.shifts)

    def build(self, site: Site, chunks: Chunks, seed: int) -> Vectors:  # noqa: ARG002
        return Vectors(self, site, chunks, self._width(site))

    def _width(self, site: Site) -> int:
        return site.inputs if self.side(site) == "input" else site.outputs


class Vectors(Adapter):
    """scale (1, width) and shift (1, width), whichever the kind has, both zero at init."""

    unit_dimensions: ClassVar = {"scale": 0, "shift": 0}
    kind: VectorKind

    def __init__(self, kind: VectorKind, site: Site, chunks: Chunks, width: int) -> None:
        super().__init__(kind, site, chunks)
        self.scale = nn.Parameter(torch.zeros(1, width)) if kind.scales else None
        self.shift = nn.Parameter(torch.zeros(1, width)) if kind.shifts else None

    def hooks(self) -> list[Hook]:
        if self.kind.side(self.site) == "input":
            return [Hook(self.site, before=self.apply_to)]
        return [Hook(self.site, after=self)]

    def forward(self, x: Tensor, h: Tensor) -> Tensor:  # noqa: ARG002
        return self.apply_to(h)

    def apply_to(self, values: Tensor) -> Tensor:
        """(1 + z scale) . values + z shift."""
        opened = self.open_units(values)
        z = 1.0 if opened is None else opened
        if self.scale is not None:
            values = values + values * (z * self.scale)
        return values if self.shift is None else values + z * self.shift

    def folded(self, weight: Tensor, bias: Tensor | None, z: Tensor) -> tuple[Tensor, Tensor | None]:
        scale = torch.ones_like(weight[..., 0]) if self.scale is None else 1 + z * self.scale[0]
        if self.kind.side(self.site) == "input":
            return weight * scale, bias
        shift = None if self.shift is None else z * self.shift[0]
        scaled = weight * scale.view(-1, *[1] * (weight.dim() - 1))
        if bias is None:
            return scaled, shift
        return scaled, bias * scale if shift is None else bias * scale + shift


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
