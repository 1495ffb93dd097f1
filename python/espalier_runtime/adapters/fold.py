"""Folds adapters into the frozen weights, so that the plain model gives what the adapted one gave."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from espalier_runtime.adapters.base import Adapter
from espalier_runtime.errors import InputError


@torch.no_grad()
def fold_into(model: nn.Module, members: Iterable[tuple[Adapter, Tensor]]) -> None:
    """Changes the weights of `model` to hold every adapter under its gates z (units,).

    What scales an input is folded before what is added to the output, in the order in which the adapters run. Raises
    InputError where a kind cannot be merged, or a module has no bias to take a shift; the model may be changed then.
    """

    def order(member: tuple[Adapter, Tensor]) -> tuple[bool, str]:
        adapter = member[0]
        return not any(hook.before for hook in adapter.hooks() if hook.site == adapter.site), adapter.reads

    for adapter, z in sorted(members, key=order):
        _fold(model.get_submodule(adapter.site.module), adapter, z)


def _fold(module: nn.Module, adapter: Adapter, z: Tensor) -> None:
    from transformers.pytorch_utils import Conv1D

    site = adapter.site
    weight = getattr(module, "weight", None)
    if not isinstance(weight, nn.Parameter):
        adapter.folded(torch.zeros(0), None, z)  # a sub-block: no kind of those can be merged
        raise AssertionError(f"{adapter.kind.name} at {site.name} was folded into a module without weights")
    bias = getattr(module, "bias", None)
    rows = weight if isinstance(module, Conv1D) else weight.t()  # (inputs, outputs), or (width,) of a norm
    # Gemma's norms multiply by 1 + weight.
    offset = 1.0 if type(module).__name__.startswith("Gemma") and weight.dim() == 1 else 0.0
    own = site.take(rows) if weight.dim() == 2 else rows + offset
    new, shift = adapter.folded(own.t(), None if bias is None else site.take(bias), z)
    if shift is not None and bias is None:
        raise InputError(
            f"{adapter.kind.name} at {site.name} cannot be merged: {site.module} has no bias that could hold its shift",
            mend="Export it with --to native.",
        )
    if weight.dim() == 2:
        changed = site.put(rows, new.t())
        weight.copy_(changed if isinstance(module, Conv1D) else changed.t())
    else:
        weight.copy_(new - offset)
    if bias is not None and shift is not None:
        bias.copy_(site.put(bias, shift))
