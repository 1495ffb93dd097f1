"""Two projections with an activation between:  h' = h + s W_up (z . f(W_down v)).

v is the sub-block's input (reads "entry"), the adapted module's input or its output. Cost of a unit: width of v plus
width of h.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from espalier_runtime.adapters.base import Chunks, entry_of, unit_rows
from espalier_runtime.adapters.group import Residual, ResidualKind
from espalier_runtime.backbone.sites import Site


@dataclass(frozen=True, kw_only=True)
class ProjectionKind(ResidualKind):
    """f by the name of its `activation`."""

    by_token: bool = True
    activation: str

    def widths(self, site: Site) -> tuple[int, int]:
        """(width of v, width of h) at `site`."""
        if self.reads == "entry":
            return entry_of(site).inputs, site.outputs
        return site.inputs if self.reads == "input" else site.outputs, site.outputs

    def parameters(self, site: Site, size: int) -> int:
        """size * (width of v + width of h)."""
        return size * sum(self.widths(site))

    def build(self, site: Site, chunks: Chunks, seed: int) -> Projections:
        return Projections(self, site, chunks, seed)

    def inner(self, down: Tensor, gates: Tensor | None = None) -> Tensor:
        """z . f(W_down v); under softmax  max(z) z_u e_u / sum_j z_j e_j  with e = exp(W_down v)."""
        if self.activation == "softmax":
            return _gated_softmax(down, gates)
        inner = activate(self.activation, down)
        return inner if gates is None else inner * gates


class Projections(Residual):
    """With R the sum of the chunks' sizes: down (R, width of v), up (width of h, R).

    down starts uniform in +-1/sqrt(width), as PEFT starts a LoRA's A; up at zero, so that all is an exact no-op.
    """

    unit_dimensions: ClassVar = {"down": 0, "up": 1}
    linear_in: ClassVar = ("up",)
    kind: ProjectionKind

    def __init__(self, kind: ProjectionKind, site: Site, chunks: Chunks, seed: int) -> None:
        super().__init__(kind, site, chunks)
        width, outputs = kind.widths(site)
        self.down = nn.Parameter(unit_rows(seed, site, kind.name, self.indices, width) / math.sqrt(width))
        self.up = nn.Parameter(torch.zeros(outputs, len(self.indices)))

    def down_rows(self) -> Tensor:
        return self.down

    def inner(self, down: Tensor) -> Tensor:
        return self.kind.inner(down, self.open_units(down))

    def up_rows(self) -> Tensor:
        return self.up.t()

    def fold_gates(self, units: Tensor, gates: Tensor) -> bool:
        # Under softmax a unit's share is its gate's among the others'.
        return self.kind.activation != "softmax" and super().fold_gates(units, gates)

    def low_rank(self, units: Tensor, task: int) -> tuple[Tensor, Tensor, float]:  # noqa: ARG002
        return self.down[units], self.up[:, units], self.kind.scale


def _gated_softmax(down: Tensor, gates: Tensor | None) -> Tensor:
    """The shares (..., R) of `down` under gates z; in the limit of shut gates as they all open together."""
    gates = down.new_ones(()).expand_as(down) if gates is None else gates
    e = torch.exp(down - down.amax(-1, keepdim=True))
    weights = e * gates
    total = weights.sum(-1, keepdim=True)
    # Units that are missing and units that are shut must be one, and so must gates and what they multiply: shares alone
    # would not fall with their gates.
    opened = gates.amax(-1, keepdim=True) / torch.where(total > 0, total, 1.0)
    return weights * torch.where(total > 0, opened, 1 / e.sum(-1, keepdim=True))


def activate(name: str, values: Tensor) -> Tensor:
    """f of each value, by the activation's name."""
    match name:
        case "identity":
            return values
        case "gelu":
            return functional.gelu(values)
        case "relu":
            return functional.relu(values)
        case "tanh":
            return values.tanh()
    raise ValueError(f"unknown activation {name}")
