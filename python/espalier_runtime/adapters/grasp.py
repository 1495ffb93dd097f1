"""GRASP: a scale and a shift of a linear's input, shared by groups of its dimensions; folds into the linear.

    x_i' = x_i + z_g ((x_i - beta_g) / gamma_g - x_i),    g = g(i)          gamma = 1 + delta; delta = beta = 0 at init
    folded:  W' = W diag(1 / gamma_g(i)),    b' = b - W' beta_g(i)

The groups are those of a fixed permutation of the dimensions (the same for every seed), or contiguous ones. A unit is
a group; of K groups the units i, i + K, i + 2K, ... are group i's, each with a scale and a shift of its own, whose
changes add up.

Source: Bal and Sengupta, arXiv 2512.04296. Cost of a unit: 2 parameters.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from espalier_runtime import contract
from espalier_runtime.adapters.base import Adapter, AdapterKind, Chunks, Hook, Reads
from espalier_runtime.backbone.sites import LINEAR_SLOTS, Site


@dataclass(frozen=True, kw_only=True)
class GraspKind(AdapterKind):
    """`grouping`: which dimensions make up a group."""

    source: str = "arXiv 2512.04296"
    slots: tuple[str, ...] = LINEAR_SLOTS
    reads: Reads = "input"
    mergeable: bool = True
    couples: bool = True
    shares_out: bool = True
    grouping: Literal["permuted", "contiguous"]

    def parameters(self, site: Site, size: int) -> int:  # noqa: ARG002
        return 2 * size

    def build(self, site: Site, chunks: Chunks, seed: int) -> Grasp:  # noqa: ARG002
        return Grasp(self, site, chunks)

    def applies(self, slots: Sequence[str], site: Site) -> bool:
        # The input of a projection that several slots share is not one slot's to change.
        return super().applies(slots, site) and site.part is None and self.sizes[-1] <= site.inputs

    def groups(self, site: Site) -> list[int]:
        """The group of every input dimension: `sizes[-1]` groups as equal as they can be."""
        count = self.sizes[-1]
        groups = [count * place // site.inputs for place in range(site.inputs)]
        if self.grouping == "permuted":
            random.Random(f"grasp {site.name}").shuffle(groups)
        return groups


class Grasp(Adapter):
    """delta (units,), beta (units,)."""

    unit_dimensions: ClassVar = {"delta": 0, "beta": 0}
    kind: GraspKind
    _unit_of: Tensor

    def __init__(self, kind: GraspKind, site: Site, chunks: Chunks) -> None:
        super().__init__(kind, site, chunks)
        units = len(self.indices)
        self.delta = nn.Parameter(torch.zeros(units))
        self.beta = nn.Parameter(torch.zeros(units))
        places = {index: place for place, index in enumerate(self.indices)}
        groups, count = kind.groups(site), kind.sizes[-1]
        # A dimension whose group is not chosen belongs to a last unit that does nothing.
        unit_of = [
            [places.get(copy * count + group, units) for group in groups]
            for copy in sorted({index // count for index in self.indices})
        ]
        self.register_buffer("_unit_of", torch.tensor(unit_of), persistent=False)

    def hooks(self) -> list[Hook]:
        return [Hook(self.site, before=self.entering)]

    def entering(self, x: Tensor) -> Tensor:
        """x' (batch, seq, inputs)."""
        of_units, z = self.gamma(), self.open_units(x)
        entered = x
        for unit_of in self._unit_of:
            gamma, beta = _spread(of_units, 1.0, unit_of), _spread(self.beta, 0.0, unit_of)
            change = (x - beta) / gamma - x
            entered = entered + (change if z is None else change * _spread(z, 0.0, unit_of))
        return entered

    def gamma(self) -> Tensor:
        """1 + delta (units,)."""
        return 1 + self.delta

    @torch.no_grad()
    def fold_gates(self, units: Tensor, gates: Tensor) -> bool:
        # x + z ((x - beta) / gamma - x) = (x - beta') / gamma'  with  1 / gamma' = 1 - z + z / gamma
        gamma, beta, z = 1 + self.delta[units], self.beta[units], gates.to(self.delta)
        folded = 1 / (1 - z + z / gamma)
        self.delta.index_copy_(0, units, folded - 1)
        self.beta.index_copy_(0, units, folded * z * beta / gamma)
        return True


def _spread(of_units: Tensor, otherwise: float, unit_of: Tensor) -> Tensor:
    """(..., inputs) of (..., units), by each dimension's unit (inputs,); `otherwise` for those of no unit."""
    rest = of_units.new_full((*of_units.shape[:-1], 1), otherwise)
    return torch.cat([of_units, rest], -1).index_select(-1, unit_of)


def grasp(spec: contract.GraspKind) -> GraspKind:
    """The kind that `spec` describes."""
    return GraspKind(
        name="grasp",
        equation="W ((x - beta_g) / gamma_g) + b",
        sizes=tuple(spec.groups),
        grouping=spec.grouping,
    )
