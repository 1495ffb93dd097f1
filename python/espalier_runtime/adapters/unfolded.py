"""Unfolded adapter:  h' = h + s W_up u_K  with u_K a sparse code of x, by K steps of iterative soft thresholding.

    u_0 = 0,    u_{k+1} = z . soft(u_k - eta W (W' u_k - x), theta),    soft(v, theta) = sign(v) max(|v| - theta, 0)

W (R, width of x) holds the dictionary's atoms as rows, theta (R,) the size of a learned threshold each: LISTA. Where
atoms are orthonormal and eta = 1, one step is the fixed point soft(W x, theta). W_up = 0 at init.

Source: an idea of arXiv 2506.11823 (image super-resolution by unfolded proximal steps), and the sparse coding it rests
on; our reading for transformers. x enters the sub-block. Cost of a unit: width of x + width of h + 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from espalier_runtime import contract
from espalier_runtime.adapters.base import Chunks, entry_of, unit_rows
from espalier_runtime.adapters.group import Residual, ResidualKind
from espalier_runtime.backbone.sites import BLOCK_SLOTS, Site


@dataclass(frozen=True, kw_only=True)
class UnfoldedKind(ResidualKind):
    """K = `iterations`, eta = `step`; thresholds start at `threshold`."""

    iterations: int
    step: float
    threshold: float

    def parameters(self, site: Site, size: int) -> int:
        return size * (entry_of(site).inputs + site.outputs + 1)

    def build(self, site: Site, chunks: Chunks, seed: int) -> Unfolded:
        return Unfolded(self, site, chunks, seed)


class Unfolded(Residual):
    """atoms (R, width of x), thresholds (R,), up (width of h, R)."""

    unit_dimensions: ClassVar = {"atoms": 0, "thresholds": 0, "up": 1}
    kind: UnfoldedKind

    def __init__(self, kind: UnfoldedKind, site: Site, chunks: Chunks, seed: int) -> None:
        super().__init__(kind, site, chunks)
        width, units = entry_of(site).inputs, len(self.indices)
        self.atoms = nn.Parameter(unit_rows(seed, site, kind.name, self.indices, width) / math.sqrt(width))
        self.thresholds = nn.Parameter(torch.full((units,), kind.threshold))
        self.up = nn.Parameter(torch.zeros(site.outputs, units))

    def down_rows(self) -> Tensor:
        return self.atoms

    def inner(self, down: Tensor) -> Tensor:
        """u_K (batch, seq, R) of W x (batch, seq, R)."""
        pulled = self.kind.step * down
        gram = self.kind.step * (self.atoms @ self.atoms.t())
        u = self._soft(pulled)
        for _ in range(self.kind.iterations - 1):
            u = self._soft(u - u @ gram + pulled)
        return u

    def up_rows(self) -> Tensor:
        return self.up.t()

    def _soft(self, values: Tensor) -> Tensor:
        theta = self.thresholds.abs()
        code = values - values.clamp(min=-theta, max=theta)
        z = self.open_units(code)
        return code if z is None else code * z


def unfolded(spec: contract.UnfoldedKind) -> UnfoldedKind:
    """The kind that `spec` describes."""
    return UnfoldedKind(
        name="unfolded",
        source="idea of arXiv 2506.11823",
        equation="h + s W_up u_K, u <- soft(u - eta W (W' u - x), theta)",
        slots=BLOCK_SLOTS,
        reads="entry",
        sizes=tuple(spec.sizes),
        couples=True,
        iterations=spec.iterations,
        step=spec.step,
        threshold=spec.threshold,
        scale=spec.scale,
    )
