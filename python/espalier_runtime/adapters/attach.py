"""The one place where anything attaches to a backbone, and the only way it comes off again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from espalier_runtime.adapters.base import Adapter, Hook, Reads
from espalier_runtime.adapters.group import FusedGroup, Residual
from espalier_runtime.adapters.tokens import Tokens
from espalier_runtime.backbone.beside import BESIDE, Giver


class Attachable(Protocol):
    """What can attach: its hooks, and what it reads, which orders several at one module."""

    @property
    def reads(self) -> Reads: ...

    def hooks(self) -> list[Hook]: ...


@contextmanager
def attached(model: nn.Module, members: Iterable[Attachable]) -> Iterator[None]:
    """Within the context the hooked modules give h' for h; after it the model is itself bit for bit.

    At one module every `before` works on its input in turn; every `after` is given the input as it came and the site's
    own outputs, those that read an input first. Whatever comes later sees what the earlier ones made of it. Outer
    hooks enclose all these. Residuals of one site that read the same input run as one group.
    """
    by_module: dict[str, list[Hook]] = defaultdict(list)
    members = list(members)
    for member in sorted(_fused(members), key=lambda member: member.reads):
        for hook in member.hooks():
            if hook.before is not None or hook.after is not None:
                by_module[hook.site.module].append(hook)
    touched: list[nn.Module] = []
    given: list[nn.Module] = []
    listening = _listen(model, members) if any(hook.outer for hooks in by_module.values() for hook in hooks) else None
    try:
        for path, hooks in by_module.items():
            module = model.get_submodule(path)
            if "forward" in vars(module):
                raise RuntimeError(f"{path} is already adapted: detach what is attached there first")
            # An instance attribute shadows the class's forward; deleting it is the whole of detaching.
            module.forward = _adapted(module.forward, hooks)
            touched.append(module)
        for path, givers in _givers(members).items():
            module = model.get_submodule(path)
            if hasattr(module, BESIDE):
                raise RuntimeError(f"{path} is already adapted: detach what is attached there first")
            vars(module)[BESIDE] = givers
            given.append(module)
        yield
    finally:
        for module in touched:
            del module.forward
        for module in given:
            del vars(module)[BESIDE]
        if listening is not None:
            listening.remove()


def _fused(members: Iterable[Attachable]) -> list[Attachable]:
    """`members`, with a group in the place of several residuals of one site that read the same input.

    One that reads an output is to see what the others made of it.
    """
    alike: dict[tuple[str, Reads], list[Residual]] = defaultdict(list)
    others: list[Attachable] = []
    for member in members:
        if isinstance(member, Residual) and member.reads != "output":
            alike[member.site.name, member.reads].append(member)
        else:
            others.append(member)
    return [*others, *(FusedGroup(group) if len(group) > 1 else group[0] for group in alike.values())]


def _givers(members: Iterable[Attachable]) -> dict[str, list[Giver]]:
    """By the path of an attention module, those who give it more to attend to."""
    givers: dict[str, list[Giver]] = defaultdict(list)
    for member in members:
        for hook in member.hooks():
            if hook.beside is not None and hook.site.attends is not None:
                givers[hook.site.attends].append(hook.beside)
    return givers


def _listen(model: nn.Module, members: Iterable[Attachable]) -> RemovableHandle:
    """Lets the members know the tokens of each forward of `model`."""
    tokens = Tokens()
    for member in members:
        if isinstance(member, Adapter):
            member.tokens = tokens
    return model.register_forward_pre_hook(lambda _, args, kwargs: tokens.hear(args, kwargs), with_kwargs=True)


def _adapted(frozen: Callable[..., object], hooks: list[Hook]) -> Callable[..., object]:
    inner, outer = [hook for hook in hooks if not hook.outer], [hook for hook in hooks if hook.outer]

    def forward(x: Tensor, *args: object, **kwargs: object) -> object:
        came = _before(outer, x)
        output = frozen(_before(inner, came), *args, **kwargs)
        h = output[0] if isinstance(output, tuple) else output
        assert isinstance(h, Tensor)
        h = _after(outer, x, _after(inner, came, h))
        return (h, *output[1:]) if isinstance(output, tuple) else h

    return forward


def _before(hooks: list[Hook], x: Tensor) -> Tensor:
    for hook in hooks:
        x = x if hook.before is None else hook.before(x)
    return x


def _after(hooks: list[Hook], x: Tensor, h: Tensor) -> Tensor:
    for hook in hooks:
        if hook.after is not None:
            h = hook.site.put(h, hook.after(x, hook.site.take(h)))
    return h
