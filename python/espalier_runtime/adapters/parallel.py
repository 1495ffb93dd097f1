"""Parallel adapters:  h' = h + s W_up f(W_down x)  with x the sub-block's input; W_up = 0 at init.

`parallel` has s = 1, `scaledParallel` a fixed s of its own (2 for classification, 4 for generation in the paper). In
a backbone that normalises before its sub-blocks, x is the normed input, which the sub-block itself reads.

Source: He et al., Towards a Unified View, arXiv 2110.04366. Cost: 2 * size * hidden parameters; no biases.
"""

from __future__ import annotations

from espalier_runtime import contract
from espalier_runtime.adapters.projections import ProjectionKind


def parallel(spec: contract.ParallelKind | contract.ScaledParallelKind) -> ProjectionKind:
    """The kind that `spec` describes."""
    scaled = isinstance(spec, contract.ScaledParallelKind)
    return ProjectionKind(
        name=spec.kind,
        source="arXiv 2110.04366",
        equation="h + s W_up f(W_down x), x enters the sub-block"
        if scaled
        else "h + W_up f(W_down x), x enters the sub-block",
        reads="entry",
        slots=tuple(spec.slots) if isinstance(spec, contract.ScaledParallelKind) else ("attention", "mlp"),
        sizes=tuple(spec.sizes),
        scale=spec.scale if isinstance(spec, contract.ScaledParallelKind) else 1.0,
        activation=spec.activation,
    )
