"""Rounding: the adapters' weights in 8 bits."""

from __future__ import annotations

from contextlib import AbstractContextManager

from torch import Tensor

from espalier_runtime.robustness.weight import changed_weights
from espalier_runtime.training.adaptation import Adaptation

BITS = 8


def rounded(weight: Tensor, bits: int = BITS) -> Tensor:
    """s * round(W / s) with s = max|W| / (2^(bits - 1) - 1) for each row of a matrix, or for the whole vector."""
    steps = 2 ** (bits - 1) - 1
    others = tuple(range(1, weight.dim())) or (0,)
    scale = (weight.abs().amax(others, keepdim=True) / steps).clamp_min(1e-30)
    nearest: Tensor = (weight / scale).round() * scale
    return nearest


def rounded_weights(adapters: Adaptation) -> AbstractContextManager[None]:
    """Within the context every weight of the adapters has been rounded; heads are left as they are."""
    return changed_weights(adapters, lambda _, weight: rounded(weight))
