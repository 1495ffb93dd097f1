"""A norm with what adapts its output folded into its own weight and bias.

A norm gives y = g . n(x) + c. What changes y elementwise and affinely, y' = s . y + t, leaves another such norm:

    g' = g . s        c' = c . s + t

with g the weight, or, in norms that keep it so, one plus the weight. A norm without a bias has no room for t.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from espalier_runtime.adapters.attach import attached
from espalier_runtime.adapters.base import Adapter

#: How far the folded norm may be off, relative to its largest output: norms compute in float32 whatever they are given.
NORM_TOLERANCE = 1e-6


def is_norm(module: nn.Module) -> bool:
    """Whether all that `module` has is one weight a dimension, and perhaps a bias."""
    own = {name: value.dim() for name, value in module.named_parameters()}
    return own in ({"weight": 1}, {"weight": 1, "bias": 1})


def fold_norm(
    model: nn.Module, path: str, groups: Sequence[Adapter], probe: Tensor, wanted: Tensor
) -> tuple[Tensor, Tensor] | None:
    """(weight', bias') of the norm at `path`, which `groups` adapt so that it gives `wanted` for `probe`.

    None where no weight and bias give that.
    """
    norm: Any = model.get_submodule(path)
    with _in_place_of(model, path) as given, attached(model, groups):
        shift = given(torch.zeros_like(probe[:, :1]))[0, 0]
        scale = given(torch.ones_like(probe[:, :1]))[0, 0] - shift
    before: Tensor = norm.weight.data
    bias: Tensor | None = norm.bias.data if getattr(norm, "bias", None) is not None else None
    shifted = shift if bias is None else bias * scale + shift
    if bias is None and bool((shift != 0).any()):
        return None
    limit = NORM_TOLERANCE * max(1.0, float(wanted.abs().max()))
    for weight in (before * scale, (1 + before) * scale - 1):
        with _holding(norm, weight, None if bias is None else shifted):
            if float((norm(probe) - wanted).abs().max()) <= limit:
                return weight, shifted
    return None


@contextmanager
def _in_place_of(model: nn.Module, path: str) -> Iterator[nn.Module]:
    """Within the context the module at `path` hands on what it is given, so that adapters there show what they do."""
    module = model.get_submodule(path)
    stand_in = nn.Identity()
    model.set_submodule(path, stand_in)
    try:
        yield stand_in
    finally:
        model.set_submodule(path, module)


@contextmanager
def _holding(norm: Any, weight: Tensor, bias: Tensor | None) -> Iterator[None]:
    """Within the context `norm` has these weights."""
    held = [(norm.weight, weight)] + ([] if bias is None else [(norm.bias, bias)])
    before = [parameter.data for parameter, _ in held]
    try:
        for parameter, value in held:
            parameter.data = value
        yield
    finally:
        for (parameter, _), value in zip(held, before, strict=True):
            parameter.data = value
