"""Vectors at a module:  values' = (1 + z u) . values + z b,  of its outputs or its inputs; u = b = 0 at init.

A unit is one u, one b or both; several units at a site add up. Cost of a unit: the width of each vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from espalier_runtime.adapters.base import Adapter, AdapterKind, Chunks, Hook
from espalier_runtime.backbone.sites import Site


@dataclass(frozen=True, kw_only=True)
class VectorKind(AdapterKind):
    """`scales`: it has u; `shifts`: it has b; `tied`: one vector of a head's width for all heads.

    `at_inputs`: the slots whose inputs the vectors work on.
    """

    scales: bool
    shifts: bool
    tied: bool = False
    at_inputs: tuple[str, ...] = ()

    def side(self, site: Site) -> Literal["input", "output"]:
        """Which side of the module the vectors work on."""
        return "input" if site.slot in self.at_inputs else "output"

    def parameters(self, site: Site, size: int) -> int:
        return size * self._width(site) * (self.scales + self.shifts)

    def build(self, site: Site, chunks: Chunks, seed: int) -> Vectors:  # noqa: ARG002
        return Vectors(self, site, chunks, self._width(site))

    def _width(self, site: Site) -> int:
        width = site.inputs if self.side(site) == "input" else site.outputs
        return width // site.heads if self.tied else width


class Vectors(Adapter):
    """scale u (units, width) and shift b (units, width), whichever the kind has."""

    unit_dimensions: ClassVar = {"scale": 0, "shift": 0}
    linear_in: ClassVar = ("scale", "shift")
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
        """(1 + z u) . values + z b."""
        z = self.open_units(values)
        if self.scale is not None:
            scale = self.scale.sum(0) if z is None else z @ self.scale
            values = values + values * (torch.cat([scale] * self.site.heads, -1) if self.kind.tied else scale)
        if self.shift is not None:
            values = values + (self.shift.sum(0) if z is None else z @ self.shift)
        return values
