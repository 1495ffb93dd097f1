"""Running a part of a model: up to the states that enter a layer, and from such states on.

A transformer is a chain h_(l+1) = layer_l(h_l), so that h_k is all that the layers from k on need of those below; what
the model computes beside the chain (masks, positions) it computes as ever. While nothing below k is trained, h_k of a
row never changes, and need not be computed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from espalier_runtime.backbone.families import Family


@contextmanager
def starting_at(model: nn.Module, form: Family, layer: int, states: Tensor | None) -> Iterator[None]:
    """Within the context `model` goes on from `states` at `layer`, and those below do nothing; None: the whole."""
    if states is None:
        yield
        return
    layers = _layers(model, form)
    below = [module for module in layers[:layer] if "forward" not in vars(module)]
    assert len(below) == layer, "a layer below the start is adapted"

    def enter(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ARG001
        return ((states, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": states})

    handle = layers[layer].register_forward_pre_hook(enter, with_kwargs=True)
    try:
        for module in below:
            module.forward = _pass_by(form)
        yield
    finally:
        handle.remove()
        for module in below:
            vars(module).pop("forward", None)


def entering(model: nn.Module, form: Family, layer: int, arguments: dict[str, Any]) -> Tensor:
    """The states that go into `layer` when `model` is called with `arguments`."""
    found: list[Tensor] = []

    def stop(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:  # noqa: ARG001
        found.append(args[0] if args else kwargs["hidden_states"])
        raise _FarEnoughError

    handle = _layers(model, form)[layer].register_forward_pre_hook(stop, with_kwargs=True)
    try:
        # Not in inference mode: its tensors could not enter a pass with gradients later.
        with torch.no_grad():
            model(**arguments)
    except _FarEnoughError:
        pass
    finally:
        handle.remove()
    return found[0]


def chain(model: nn.Module, form: Family, arguments: dict[str, Any]) -> list[Tensor]:
    """The states that go into each layer, from the embeddings up, and the model's last hidden states."""
    found: list[Tensor] = []

    def keep(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:  # noqa: ARG001
        found.append(args[0] if args else kwargs["hidden_states"])

    handles = [layer.register_forward_pre_hook(keep, with_kwargs=True) for layer in _layers(model, form)]
    try:
        last: Tensor = model(**arguments).last_hidden_state
    finally:
        for handle in handles:
            handle.remove()
    return [*found, last]


class _FarEnoughError(Exception):
    """The states are there, and the rest of the model need not run."""


def _layers(model: nn.Module, form: Family) -> nn.ModuleList:
    layers = model.get_submodule(form.layers)
    assert isinstance(layers, nn.ModuleList)
    return layers


def _pass_by(form: Family) -> Callable[..., Any]:
    def forward(hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG001
        return (hidden_states, None) if form.gives_tuple else hidden_states

    return forward
