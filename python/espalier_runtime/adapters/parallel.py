"""Parallel adapter:  h' = h + W_up f(W_down x)  with x the sub-block's input; W_up = 0 at init.

In a backbone that normalises before its sub-blocks, x is the normed input, which the sub-block itself reads.

Source: He et al., Towards a Unified View, arXiv 2110.04366. Cost: 2 * size * hidden parameters; no biases.
"""

from __future__ import annotations

from espalier_runtime import contract
from espalier_runtime.adapters.projections import ProjectionKind


def parallel(spec: contract.ParallelKind) -> ProjectionKind:
    """The kind that `spec` describes."""
    return ProjectionKind(
        name="parallel",
        source="arXiv 2110.04366",
        equation="h + W_up f(W_down x), x enters the sub-block",
        reads="entry",
        slots=("attention", "mlp"),
        sizes=tuple(spec.sizes),
        scale=1.0,
        activation=spec.activation,
    )
