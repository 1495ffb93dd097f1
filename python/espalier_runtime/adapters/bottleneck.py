"""Bottleneck adapter:  h' = h + s W_up f(W_down h)  after a sub-block, before its residual; W_up = 0 at init.

Source: Houlsby et al., arXiv 1902.00751, and arXiv 2509.03057. Cost: 2 * size * hidden parameters; no biases.
"""

from __future__ import annotations

from espalier_runtime import contract
from espalier_runtime.adapters.base import AdapterKind
from espalier_runtime.backbone.sites import BLOCK_SLOTS


def bottleneck(spec: contract.BottleneckKind) -> AdapterKind:
    """The kind that `spec` describes."""
    return AdapterKind(
        name="bottleneck",
        source="arXiv 1902.00751",
        reads="output",
        slots=BLOCK_SLOTS,
        sizes=tuple(spec.sizes),
        scale=spec.scale,
        activation=spec.activation,
        peft=False,
    )
