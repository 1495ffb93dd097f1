"""The least time that a step's arithmetic can take on this machine, and the bytes that a step keeps for backward.

The limit counts the products of the frozen weights and of attention alone, at the best rate at which this machine
multiplies matrices of the model's shapes; element-wise work counts as nothing. With H the hidden width, F the MLP's, a
token's forward through a layer takes 2 (4 H^2 + 2 H F) operations and 4 L H more for attention over L tokens; backward
to the layer's input takes as many again, and attention twice. Where the head reads one token, the last layer needs keys
and values of all tokens and everything else of that token.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bench.work import Work
from espalier_runtime.backbone.load import Backbone


def gemm_rate(backbone: Backbone, tokens: int) -> float:
    """Operations a second, the best of a few shapes and repetitions."""
    config: Any = backbone.model.config
    best = 0.0
    narrow, wide = config.hidden_size, config.intermediate_size
    for inputs, outputs in ((narrow, wide), (wide, narrow)):
        a = torch.randn(tokens, inputs, device=backbone.device)
        b = torch.randn(inputs, outputs, device=backbone.device)
        for _ in range(10):
            started = time.perf_counter()
            a @ b
            backbone.wait()
            best = max(best, 2 * tokens * inputs * outputs / (time.perf_counter() - started))
    return best


def least_seconds(work: Work, backbone: Backbone, layers: range, rate: float, *, cached: bool) -> float:
    """Seconds for all batches of a fit with adapters in `layers`, whose head reads the first token."""
    config: Any = backbone.model.config
    hidden, wide = config.hidden_size, config.intermediate_size
    linears = 2 * (4 * hidden**2 + 2 * hidden * wide)
    keys_and_values = 2 * 2 * hidden**2
    operations = 0.0
    last = backbone.layers - 1
    for layer in range(layers.start if cached else 0, backbone.layers):
        with_backward = layer >= layers.start
        for length in work.packed.lengths:
            attention = 4 * length * hidden
            if layer == last:
                forward = length * keys_and_values + linears - keys_and_values + attention
            else:
                forward = length * (linears + attention)
            # Backward of the lowest layer ends at its own adapters, and needs no less than half of its way.
            operations += forward + (forward if with_backward else 0)
    return operations / rate


def saved_bytes(forward: Callable[[], Tensor], owned: nn.Module) -> int:
    """Bytes that autograd keeps during `forward`, the weights of `owned` left out; a shared storage counts once."""
    seen = {weight.untyped_storage().data_ptr() for weight in [*owned.parameters(), *owned.buffers()]}
    total = 0

    def pack(tensor: Tensor) -> Tensor:
        nonlocal total
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            total += storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = forward()  # held until here: a freed tensor's place would be taken for another's
        del loss
    return total
