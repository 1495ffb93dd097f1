"""Prefix: learned keys and values that the tokens attend to beside each other's, each with a learned mass.

    o_i' = (D_i o_i + sum_u |m_u| e_u sign(m_u) v_u,i) / (D_i + sum_u |m_u| e_u)        m_u = s z_u theta_u
    e_u = exp(q_i . k_u,i / sqrt(w)),   D_i = sum over the tokens seen of exp(q_i . k_j,i / sqrt(w))

for head i; `backbone/beside.py` computes it. theta = 0 at init: an exact no-op. At |m| = 1 it is attention with the
keys k and values v (of m's sign) before the tokens' own, as in the paper; the mass is ours, so that a prefix token can
start at nothing and be a candidate. Keys are as the heads compare them, after any rotation: a prefix token has no
position. A unit is a prefix token in one layer.

Source: Li and Liang, Prefix-Tuning, arXiv 2101.00190, without its reparametrisation. Cost of a unit: width of the keys
+ width of the values + 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from espalier_runtime import contract
from espalier_runtime.adapters.base import Adapter, AdapterKind, Chunks, Hook, unit_rows
from espalier_runtime.backbone.beside import Extra, Rows
from espalier_runtime.backbone.sites import Site

NEEDS = "an attention that transformers lets be chosen, as DeBERTa-v2, MPNet, T5, Gemma 2 and ViT do not"


@dataclass(frozen=True, kw_only=True)
class PrefixKind(AdapterKind):
    """s = `scale`."""

    scale: float

    def parameters(self, site: Site, size: int) -> int:
        return size * (site.beside["attention.key"].outputs + site.beside["attention.value"].outputs + 1)

    def build(self, site: Site, chunks: Chunks, seed: int) -> Prefix:
        return Prefix(self, site, chunks, seed)

    def applies(self, slots: Sequence[str], site: Site) -> bool:
        return super().applies(slots, site) and gives(site)


class Prefix(Adapter):
    """keys (R, key heads, width), values (R, key heads, width), mass theta (R,)."""

    unit_dimensions: ClassVar = {"keys": 0, "values": 0, "mass": 0}
    linear_in: ClassVar = ("mass",)
    kind: PrefixKind

    def __init__(self, kind: PrefixKind, site: Site, chunks: Chunks, seed: int) -> None:
        super().__init__(kind, site, chunks)
        heads = site.beside["attention.key"].heads
        widths = (site.beside[f"attention.{slot}"].outputs // heads for slot in ("key", "value"))
        keys, values = (
            unit_rows(seed, site, f"{kind.name} {index}", self.indices, heads, width)
            for index, width in enumerate(widths)
        )
        self.keys, self.values = nn.Parameter(keys), nn.Parameter(values)
        self.mass = nn.Parameter(torch.zeros(len(self.indices)))

    def hooks(self) -> list[Hook]:
        return [Hook(self.site, beside=self.give)]

    def give(self, attention: nn.Module, rows: Rows) -> Extra:  # noqa: ARG002
        """Keys and values (1, key heads, R, width) and masses (rows or 1, R)."""
        mass = self.kind.scale * self.mass.unsqueeze(0)
        gates = None if self.gates is None else rows.of(self.gates.to(mass.dtype))
        keys, values = (part.transpose(0, 1).unsqueeze(0) for part in (self.keys, self.values))
        return Extra.of(keys, values, mass, gates)


def gives(site: Site) -> bool:
    """Whether the site's attention can be given keys and values."""
    return site.attends is not None and {"attention.key", "attention.value"} <= site.beside.keys()


def prefix(spec: contract.PrefixKind) -> PrefixKind:
    """The kind that `spec` describes."""
    return PrefixKind(
        name="prefix",
        source="arXiv 2101.00190",
        equation="softmax(q [k, K]') [v, V], each k of a mass s theta",
        slots=("attention",),
        sizes=tuple(spec.tokens),
        couples=True,
        needs=NEEDS,
        scale=spec.scale,
    )
