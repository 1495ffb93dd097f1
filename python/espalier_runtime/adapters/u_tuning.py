"""U-Tuning:  OP(x) + s U(x),  U(x) = W_up f(W_down x),  with OP the attention, the MLP or the whole block.

W_up = 0 at init. The paper rewrites adapter, prefix and prompt as a tuner beside a frozen operation. With f = GELU or
ReLU at `mlp` it is the parallel adapter; with f = softmax at `attention` the tuner is a single-headed prefix, whose
keys are the rows of W_down and whose values are the columns of W_up; at `block` it is a tuner beside the whole layer.

Source: Jiang et al., Rethinking Efficient Tuning Methods from a Unified Perspective, arXiv 2303.00690.
Cost: 2 * size * hidden parameters; no biases.
"""

from __future__ import annotations

from espalier_runtime import contract
from espalier_runtime.adapters.fused import FusedKind
from espalier_runtime.backbone.sites import BLOCK_SLOTS


def u_tuning(spec: contract.UTuningKind) -> FusedKind:
    """The kind that `spec` describes."""
    return FusedKind(
        name="uTuning",
        source="arXiv 2303.00690",
        equation="OP(x) + s W_up f(W_down x), OP: attention, mlp, block",
        reads="entry",
        slots=BLOCK_SLOTS,
        sizes=tuple(spec.sizes),
        scale=spec.scale,
        activation=spec.activation,
        couples=spec.activation == "softmax",
    )
