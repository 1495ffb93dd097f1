"""Weight noise: Gaussian noise on the adapters' weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from espalier_runtime.robustness.chance import gaussian, generator_of
from espalier_runtime.training.adaptation import Adaptation


@contextmanager
def noisy_weights(adapters: Adaptation, ratio: float, seed: int) -> Iterator[None]:
    """Within the context each weight tensor is W + ratio * RMS(W) * e, e ~ N(0, 1); heads are left as they are."""

    def noisy(name: str, weight: Tensor) -> Tensor:
        return weight + ratio * weight.square().mean().sqrt() * gaussian(weight, generator_of(seed, "weight", name))

    with changed_weights(adapters, noisy if ratio > 0 else None):
        yield


@contextmanager
def changed_weights(adapters: Adaptation, change: Callable[[str, Tensor], Tensor] | None) -> Iterator[None]:
    """Within the context every weight is what `change` makes of its name and value; after it all are as before."""
    tensors = {
        name: value
        for name, value in (adapters.state_dict().items() if change is not None else ())
        if isinstance(value, Tensor) and value.is_floating_point() and value.numel() > 0
    }
    kept = {name: value.clone() for name, value in tensors.items()}
    try:
        with torch.no_grad():
            for name, value in tensors.items():
                assert change is not None
                value.copy_(change(name, kept[name]))
        yield
    finally:
        with torch.no_grad():
            for name, value in tensors.items():
                value.copy_(kept[name])
