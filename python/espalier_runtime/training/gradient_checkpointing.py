"""Gradient checkpointing: a layer keeps its input alone for backward, and is computed again when backward comes to it.

Backward ends at the lowest adapted layer as it does without: the layers below it have no gradient, keep nothing and are
computed once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

Forward = Callable[..., Any]


@contextmanager
def checkpointed(layers: Sequence[nn.Module], lowest: int | None) -> Iterator[None]:
    """Within the context the forwards of `layers` are checkpointed from `lowest` on, the lowest layer that is adapted.

    Where none is adapted (None), those are whose input has a gradient. A forward's backward may come after the context.
    """
    upper = layers[lowest or 0 :]
    shadows = [vars(layer).get("forward") for layer in upper]
    try:
        for layer in upper:
            layer.forward = _checkpointed(layer.forward, adapted=lowest is not None)
        yield
    finally:
        for layer, shadow in zip(upper, shadows, strict=True):
            if shadow is None:
                del layer.forward
            else:
                layer.forward = shadow


def _checkpointed(forward: Forward, *, adapted: bool) -> Forward:
    def again(*args: object, **kwargs: object) -> object:
        return forward(*map(_own, args), **{name: _own(value) for name, value in kwargs.items()})

    def run(*args: Any, **kwargs: Any) -> object:
        given = (*args, *kwargs.values())
        if adapted or any(isinstance(value, Tensor) and value.requires_grad for value in given):
            return checkpoint(again, *args, use_reentrant=False, **kwargs)
        return forward(*args, **kwargs)

    return run


def _own(value: object) -> object:
    """A cache of keys and values, to which a layer adds its own, as the layer found it; anything else itself."""
    from transformers.cache_utils import Cache, EncoderDecoderCache

    if not isinstance(value, Cache):
        return value
    found: Any = copy.copy(value)
    if isinstance(value, EncoderDecoderCache):
        found.self_attention_cache = _own(value.self_attention_cache)
        found.cross_attention_cache = _own(value.cross_attention_cache)
        found.is_updated = dict(value.is_updated)
    else:
        found.layers = [copy.copy(layer) for layer in value.layers]
    return found
