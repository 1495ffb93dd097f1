"""Kernel-mix: a low-rank update of its own for every head, at query, value and output, beside one that heads share.

    q_i' = q_i + sum_u z_u U_u,i (V_u,i x)         the kernel of head i, from the attention's input x
    v_i' = v_i + sum_u z_u U_u,i (V_u,i k_i)       from the head's own keys k_i (before any rotation)
    o'   = o   + sum_u z_u sum_i U_u,i (V_u,i a_i) from the head's output a_i

and at each of the three  + sum_u z_u B_u A_u x  with `shared` ranks a unit, x the linear's own input. A unit is one
rank of every head and its share of the shared update; where keys and values have fewer heads, i runs over those. U and
B are zero at init.

Source: Chen et al., arXiv 2205.03720 (1 and 2 ranks a head beside 2 and 4 shared ones, hence our default). Cost of a
unit, with N heads of width w: N (d + w) or 2 N w or N (w + d), plus shared * (inputs + outputs). Our reading: each of
the updates is without the bias that the paper's have, which `bitfit` adds where it is wanted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from espalier_runtime import contract
from espalier_runtime.adapters.base import Adapter, AdapterKind, Chunks, Hook, unit_rows
from espalier_runtime.backbone.sites import Site


@dataclass(frozen=True, kw_only=True)
class KernelMixKind(AdapterKind):
    """`shared`: ranks of the shared update a unit."""

    shared: int

    def widths(self, site: Site) -> tuple[int, int]:
        """(what one head's update reads, what it changes)."""
        if site.slot == "attention.query":
            return site.inputs, site.outputs // site.heads
        if site.slot == "attention.value":
            return site.beside["attention.key"].outputs // site.heads, site.outputs // site.heads
        return site.inputs // site.heads, site.outputs

    def parameters(self, site: Site, size: int) -> int:
        return size * (site.heads * sum(self.widths(site)) + self.shared * (site.inputs + site.outputs))

    def build(self, site: Site, chunks: Chunks, seed: int) -> KernelMix:
        return KernelMix(self, site, chunks, seed)

    def applies(self, slots: Sequence[str], site: Site) -> bool:
        return super().applies(slots, site) and (site.slot != "attention.value" or "attention.key" in site.beside)


class KernelMix(Adapter):
    """down (R, N, read), up (R, N, changed), and of the shared update down (R, S, inputs), up (R, S, outputs)."""

    unit_dimensions: ClassVar = {"down": 0, "up": 0, "shared_down": 0, "shared_up": 0}
    linear_in: ClassVar = ("up", "shared_up")
    kind: KernelMixKind

    def __init__(self, kind: KernelMixKind, site: Site, chunks: Chunks, seed: int) -> None:
        super().__init__(kind, site, chunks)
        read, changed = kind.widths(site)
        units, heads = len(self.indices), site.heads
        self.down = nn.Parameter(unit_rows(seed, site, kind.name, self.indices, heads, read) / math.sqrt(read))
        self.up = nn.Parameter(torch.zeros(units, heads, changed))
        shared = unit_rows(seed, site, f"{kind.name} shared", self.indices, kind.shared, site.inputs)
        self.shared_down = nn.Parameter(shared / math.sqrt(site.inputs))
        self.shared_up = nn.Parameter(torch.zeros(units, kind.shared, site.outputs))
        self._keys: Tensor | None = None

    def hooks(self) -> list[Hook]:
        own = Hook(self.site, after=self)
        if self.site.slot != "attention.value":
            return [own]
        return [Hook(self.site.beside["attention.key"], after=self._remember_keys), own]

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        z = self.open_units(h)
        shared = torch.einsum("...d,rsd->...rs", x, self.shared_down)
        if z is not None:
            shared = shared * z.unsqueeze(-1)
        return h + torch.einsum("...rs,rsd->...d", shared, self.shared_up) + self._of_heads(x, z)

    def _of_heads(self, x: Tensor, z: Tensor | None) -> Tensor:
        if self.site.slot == "attention.query":
            inner = torch.einsum("...d,rnd->...nr", x, self.down)
        else:
            read = x
            if self.site.slot == "attention.value":
                assert self._keys is not None
                read, self._keys = self._keys, None
            per_head = read.view(*read.shape[:-1], self.site.heads, -1)
            inner = torch.einsum("...nd,rnd->...nr", per_head, self.down)
        if z is not None:
            inner = inner * z.unsqueeze(-2)
        if self.site.slot == "attention.output":
            return torch.einsum("...nr,rnd->...d", inner, self.up)
        return torch.einsum("...nr,rnd->...nd", inner, self.up).flatten(-2)

    def _remember_keys(self, x: Tensor, k: Tensor) -> Tensor:  # noqa: ARG002
        self._keys = k
        return k


def kernel_mix(spec: contract.KernelMixKind) -> KernelMixKind:
    """The kind that `spec` describes."""
    return KernelMixKind(
        name="kernelMix",
        source="arXiv 2205.03720",
        equation="h_i + U_i V_i (x, k_i or a_i), a head i each, + B A x shared",
        slots=("attention.query", "attention.value", "attention.output"),
        sizes=tuple(spec.sizes),
        shared=spec.shared,
    )
