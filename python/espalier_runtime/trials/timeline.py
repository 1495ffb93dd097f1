"""When a step passes which place: the ends of each layer forward and backward, and the sites on the way back."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from espalier_runtime.backbone.load import Backbone

Label = tuple[str, int | str]


class Timeline:
    """Marks of one pass, in order. On CUDA they are events of the stream, so that the host runs ahead as ever."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._marks: list[tuple[Label, Any]] = []

    def mark(self, *label: int | str) -> None:
        """Remembers that the pass is here now."""
        if self._cuda:
            now: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            now.record()
        else:
            now = clock()
        self._marks.append(((str(label[0]), label[1]), now))

    def milliseconds(self) -> dict[Label, float]:
        """When each label was passed for the last time, since the first mark of all."""
        if self._cuda:
            torch.cuda.synchronize()
            return {label: float(self._marks[0][1].elapsed_time(mark)) for label, mark in self._marks}
        return {label: 1000 * (mark - self._marks[0][1]) for label, mark in self._marks}


@contextmanager
def watched(backbone: Backbone, pass_by: Callable[..., None], *, through: bool = False) -> Iterator[None]:
    """Within the context the backbone calls `pass_by(place, which)` as data flows through it.

    Places: "enter" and "leave" of a layer; backward, "back" at a layer's output (-1 for the first layer's input), and
    "site" at the output of the module at each path that has sites. Where `through`, gradients flow down to the first
    layer's input, whatever is adapted.
    """
    modules = {site.module for site in backbone.sites if site.slot != "block"}
    handles = []
    for layer, path in enumerate(backbone.layer_modules):
        module = backbone.model.get_submodule(path)
        handles.append(
            module.register_forward_pre_hook(_entering(layer, pass_by, through and layer == 0), with_kwargs=True)
        )
        handles.append(module.register_forward_hook(_leaving(layer, pass_by)))
    for path in modules:
        handles.append(backbone.model.get_submodule(path).register_forward_hook(_at_site(path, pass_by)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _entering(layer: int, pass_by: Callable[..., None], through: bool) -> Callable[..., Any]:
    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ARG001
        pass_by("enter", layer)
        if not through or not torch.is_grad_enabled():
            return None
        given = args[0] if args else kwargs["hidden_states"]
        flowing = given.detach().requires_grad_()
        _watch_gradient(flowing, lambda: pass_by("back", layer - 1))
        return ((flowing, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": flowing})

    return hook


def _leaving(layer: int, pass_by: Callable[..., None]) -> Callable[..., None]:
    def hook(module: nn.Module, args: Any, output: Any) -> None:  # noqa: ARG001
        pass_by("leave", layer)
        _watch_gradient(output, lambda: pass_by("back", layer))

    return hook


def _at_site(path: str, pass_by: Callable[..., None]) -> Callable[..., None]:
    def hook(module: nn.Module, args: Any, output: Any) -> None:  # noqa: ARG001
        pass_by("pass", path)
        _watch_gradient(output, lambda: pass_by("site", path))

    return hook


def _watch_gradient(output: Any, then: Callable[[], None]) -> None:
    states = output[0] if isinstance(output, tuple) else output
    if isinstance(states, Tensor) and states.requires_grad:
        states.register_hook(lambda gradient: then())  # type: ignore[no-untyped-call]  # noqa: ARG005


def clock() -> float:
    """Seconds. Where one CPU thread does all the work, its own processor time, which busy neighbours do not stretch."""
    return time.thread_time() if torch.get_num_threads() == 1 else time.perf_counter()


def medians(samples: list[dict[Label, float]]) -> dict[Label, float]:
    """The median of each label over all samples that have it."""
    collected: dict[Label, list[float]] = defaultdict(list)
    for sample in samples:
        for label, value in sample.items():
            collected[label].append(value)
    return {label: float(torch.tensor(values).quantile(0.5)) for label, values in collected.items()}
