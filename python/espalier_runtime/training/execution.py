"""How a training step computes: in which precision, what it keeps for backward, and whether it is compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.errors import InputError
from espalier_runtime.training.gradient_checkpointing import checkpointed


@dataclass(frozen=True)
class Execution:
    """`dtype` of the backbone's and the adapters' products; weights and their gradients are float32 whatever it is.

    `one_token`: where the head reads one token a row, the last layer computes no other. `dropout`: the frozen backbone
    drops out what its configuration says.
    """

    dtype: torch.dtype = torch.float32
    checkpointing: bool = False
    compiled: bool = False
    one_token: bool = True
    dropout: bool = False

    @contextmanager
    def of(self, backbone: Backbone, lowest: int | None) -> Iterator[None]:
        """Within the context the backbone's forward is a training step's; `lowest` is the lowest adapted layer."""
        with ExitStack() as stack:
            if self.dtype != torch.float32:
                stack.enter_context(torch.autocast(backbone.device.type, self.dtype))
            if self.checkpointing and torch.is_grad_enabled():
                layers = [backbone.model.get_submodule(path) for path in backbone.layer_modules]
                stack.enter_context(checkpointed(layers, lowest))
            if self.dropout and torch.is_grad_enabled():
                backbone.model.train()
                stack.callback(backbone.model.eval)
            yield

    def states(self, backbone: Backbone) -> Callable[..., Tensor]:
        """`backbone.states` as a training step calls it."""
        # Every length of the longest row has a shape of its own, none of which is worth a compilation.
        return torch.compile(backbone.states, dynamic=True) if self.compiled else backbone.states


def execution_of(training: contract.Training, device: torch.device, *, fit: bool = False) -> Execution:
    """What `training` asks for on `device`; only a `fit`, whose structure stays as it is, is compiled."""
    dtype = training.dtype
    if dtype == "auto":
        dtype = "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported(False) else "float32"
    return Execution(
        dtype=getattr(torch, dtype),
        checkpointing=training.gradient_checkpointing,
        compiled=training.compile and fit,
        one_token=training.speed.one_token,
        dropout=training.backbone_dropout,
    )


def check_execution(training: contract.Training, device: torch.device) -> None:
    """Raises InputError where the device or this machine cannot do what `training` asks for."""
    if training.dtype == "bfloat16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(False):
        raise InputError(
            f'training.dtype: "bfloat16" was asked for, but {torch.cuda.get_device_name(device)} does not have it',
            mend='Use "auto" or "float32".',
        )
    if training.compile:
        _check_compiler(device)


def _check_compiler(device: torch.device) -> None:
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler
    from torch.utils._triton import has_triton

    lacking = ""
    try:
        get_cpp_compiler()
    except (InvalidCxxCompiler, RuntimeError):
        lacking = "a C++ compiler"
    if device.type == "cuda" and not has_triton():
        lacking = "Triton on this GPU"
    if lacking:
        raise InputError(
            f"training.compile: torch.compile needs {lacking}, and there is none",
            mend="Install one (a C++ compiler is g++, or what CXX names), or leave out training.compile.",
        )
