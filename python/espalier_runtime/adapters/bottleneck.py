"""Bottleneck adapter:  h' = h + s W_up f(W_down h)  after a sub-block, before its residual; W_up = 0 at init.

Source: Houlsby et al., arXiv 1902.00751, and arXiv 2509.03057. Cost: 2 * size * hidden parameters; no biases.
"""

from __future__ import annotations

from espalier_runtime import contract
from espalier_runtime.adapters.projections import ProjectionKind
from espalier_runtime.backbone.sites import BLOCK_SLOTS


def bottleneck(spec: contract.BottleneckKind) -> ProjectionKind:
    """The kind that `spec` describes."""
    return ProjectionKind(
        name="bottleneck",
        source="arXiv 1902.00751",
        equation="h + s W_up f(W_down h)",
        reads="output",
        slots=BLOCK_SLOTS,
        sizes=tuple(spec.sizes),
        scale=spec.scale,
        activation=spec.activation,
    )
