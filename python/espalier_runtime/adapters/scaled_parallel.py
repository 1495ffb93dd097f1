"""Scaled parallel adapter:  h' = h + s W_up f(W_down x)  with x the sub-block's input; W_up = 0 at init.

s is fixed: in the paper 2 for classification and 4 for generation. x as in `parallel`, which has s = 1.

Source: He et al., Towards a Unified View, arXiv 2110.04366. Cost: 2 * size * hidden parameters; no biases.
"""

from __future__ import annotations

from espalier_runtime import contract
from espalier_runtime.adapters.projections import ProjectionKind


def scaled_parallel(spec: contract.ScaledParallelKind) -> ProjectionKind:
    """The kind that `spec` describes."""
    return ProjectionKind(
        name="scaledParallel",
        source="arXiv 2110.04366",
        equation="h + s W_up f(W_down x), x enters the sub-block",
        reads="entry",
        slots=tuple(spec.slots),
        sizes=tuple(spec.sizes),
        scale=spec.scale,
        activation=spec.activation,
    )
