"""All adapters of one kind at one site are one module, the fused group:  h' = h + s W_up (z . f(W_down v)).

v is the sub-block's input (reads "entry"), the adapted module's input or its output. Cost of a unit: width of v plus
width of h.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from espalier_runtime.adapters.base import Adapter, AdapterKind, Chunks, entry_of
from espalier_runtime.backbone.sites import Site


@dataclass(frozen=True, kw_only=True)
class FusedKind(AdapterKind):
    """f by the name of its `activation`, s = `scale`; v is what the kind reads."""

    by_token: bool = True
    scale: float
    activation: str

    def widths(self, site: Site) -> tuple[int, int]:
        """(width of v, width of h) at `site`."""
        if self.reads == "entry":
            return entry_of(site).inputs, site.outputs
        return site.inputs if self.reads == "input" else site.outputs, site.outputs

    def parameters(self, site: Site, size: int) -> int:
        """size * (width of v + width of h)."""
        return size * sum(self.widths(site))

    def build(self, site: Site, chunks: Chunks, seed: int) -> Adapter:
        from espalier_runtime.adapters.group import AdapterGroup

        return AdapterGroup(self, site, chunks, seed)

    def inner(self, down: Tensor, gates: Tensor | None = None) -> Tensor:
        """z . f(W_down v); under softmax a shut unit has no share, so that z weighs the exponentials."""
        if self.activation == "softmax":
            weights = torch.exp(down - down.amax(-1, keepdim=True))
            weights = weights if gates is None else weights * gates
            return weights / weights.sum(-1, keepdim=True).clamp_min(1e-20)
        inner = activate(self.activation, down)
        return inner if gates is None else inner * gates


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
