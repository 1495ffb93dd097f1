"""U-Tuning:  OP(x) + s U(x),  U(x) = W_up f(W_down x),  with OP the attention, the MLP or the whole block.

W_up = 0 at init. The paper rewrites adapter, prefix and prompt as a tuner beside a frozen operation. With f = GELU or
ReLU at `mlp` it is the parallel adapter; with f = softmax at `attention` the tuner attends, with x for its query, to
keys that are the rows of W_down and values that are the columns of W_up; at `block` it is a tuner beside the layer.

Source: Jiang et al., Rethinking Efficient Tuning Methods from a Unified Perspective, arXiv 2303.00690. Our reading:
the prefix's form has one head and no query projection, and adds to OP, where the algebra of prefixes mixes the two,
(1 - lambda) OP + lambda U; a prompt is that in the block's attention. The kinds `prefix` and `taskPrompt` are exact.
Under gates z a key's share is max(z) z_u e_u / sum_j z_j e_j: a shut unit has none, and all fall as the gates do.
Cost: 2 * size * hidden parameters; no biases.
"""

from __future__ import annotations

from espalier_runtime import contract
from espalier_runtime.adapters.projections import ProjectionKind
from espalier_runtime.backbone.sites import BLOCK_SLOTS


def u_tuning(spec: contract.UTuningKind) -> ProjectionKind:
    """The kind that `spec` describes."""
    return ProjectionKind(
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
