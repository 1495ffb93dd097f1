"""Activation noise: Gaussian noise on the hidden states that every layer hands on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from espalier_runtime.backbone.load import Backbone
from espalier_runtime.robustness.chance import gaussian, generator_of


@contextmanager
def noisy_activations(backbone: Backbone, ratio: float, seed: int) -> Iterator[None]:
    """Within the context every layer gives h + ratio * RMS(h) * e, e ~ N(0, 1); RMS over the width of each token."""
    hooks = []
    try:
        for site in backbone.sites if ratio > 0 else ():
            if site.slot == "block":
                noisy = _noisy(ratio, generator_of(seed, "activation", site.name))
                hooks.append(backbone.model.get_submodule(site.module).register_forward_hook(noisy))
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _noisy(ratio: float, generator: torch.Generator) -> Callable[[nn.Module, object, object], object]:
    def hook(_module: nn.Module, _inputs: object, output: object) -> object:
        h = output[0] if isinstance(output, tuple) else output
        assert isinstance(h, Tensor)
        rms = h.square().mean(-1, keepdim=True).sqrt()
        changed = h + ratio * rms * gaussian(h, generator)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    return hook
