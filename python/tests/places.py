"""Sites of a layer of width 8 with two heads, without a model around them."""

from __future__ import annotations

import torch

from espalier_runtime.adapters.base import Adapter
from espalier_runtime.backbone.sites import Site


def layer() -> dict[str, Site]:
    """Sites by slot; the attention's and the MLP's entries are beside them."""
    beside: dict[str, Site] = {}
    shapes = {
        "attention.query": (8, 8),
        "attention.key": (8, 8),
        "attention.value": (8, 8),
        "attention.output": (8, 8),
        "mlp.up": (8, 12),
        "mlp.down": (12, 8),
        "attention": (8, 8),
        "mlp": (12, 8),
        "block": (8, 8),
        "attention.norm": (8, 8),
        "mlp.norm": (8, 8),
    }
    for slot, (inputs, outputs) in shapes.items():
        heads = 2 if slot.startswith("attention.") else 1
        beside[slot] = Site(f"layers.0.{slot}", 0, slot, slot, inputs, outputs, heads=heads, beside=beside)
    return beside


def filled(adapter: Adapter, seed: int = 1) -> Adapter:
    """Every parameter random, so that the adapter is no no-op."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return adapter


def run(adapter: Adapter, entry: torch.Tensor, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """h' where `entry` goes into the sub-block and x into the adapted module, which gives h."""
    for hook in adapter.hooks():
        if hook.before is not None:
            hook.before(entry)
    return adapter(x, h)
