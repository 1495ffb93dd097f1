"""TARP: a low-rank update whose inner diagonal depends on the input.

    h' = h + s U (z . g(x) . (V x)),    g(x) = 2 sigmoid(G x)        U = 0 and G = 0 at init

so that it starts as a LoRA, g = 1. Source: Hou et al., Meta-Learning the Difference, arXiv 2207.03509, where a small
network of the input gives the diagonal; that it is one linear map G of each token's own x is our reading, which needs
no knowledge of where a sequence ends. Cost of a unit: 2 * inputs + outputs, 1.5 of a LoRA's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from espalier_runtime import contract
from espalier_runtime.adapters.base import Chunks, unit_rows
from espalier_runtime.adapters.group import Residual, ResidualKind
from espalier_runtime.backbone.sites import LINEAR_SLOTS, Site


@dataclass(frozen=True, kw_only=True)
class TarpKind(ResidualKind):
    """Of a rank: V, G and U."""

    def parameters(self, site: Site, size: int) -> int:
        return size * (2 * site.inputs + site.outputs)

    def build(self, site: Site, chunks: Chunks, seed: int) -> Tarp:
        return Tarp(self, site, chunks, seed)


class Tarp(Residual):
    """down V (R, inputs), control G (R, inputs), up U (outputs, R)."""

    unit_dimensions: ClassVar = {"down": 0, "control": 0, "up": 1}
    linear_in: ClassVar = ("up",)
    kind: TarpKind

    def __init__(self, kind: TarpKind, site: Site, chunks: Chunks, seed: int) -> None:
        super().__init__(kind, site, chunks)
        units = len(self.indices)
        self.down = nn.Parameter(unit_rows(seed, site, kind.name, self.indices, site.inputs) / math.sqrt(site.inputs))
        self.control = nn.Parameter(torch.zeros(units, site.inputs))
        self.up = nn.Parameter(torch.zeros(site.outputs, units))

    def down_rows(self) -> Tensor:
        return torch.cat([self.down, self.control])

    def inner(self, down: Tensor) -> Tensor:
        values, control = down.chunk(2, dim=-1)
        inner = values * (2 * torch.sigmoid(control))
        z = self.open_units(inner)
        return inner if z is None else inner * z

    def up_rows(self) -> Tensor:
        return self.up.t()


def tarp(spec: contract.TarpKind) -> TarpKind:
    """The kind that `spec` describes."""
    return TarpKind(
        name="tarp",
        source="arXiv 2207.03509",
        equation="h + s U (2 sigmoid(G x) . (V x))",
        reads="input",
        slots=LINEAR_SLOTS,
        sizes=tuple(spec.ranks),
        scale=spec.scale,
    )
