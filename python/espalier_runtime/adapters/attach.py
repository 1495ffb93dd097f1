"""The one place where anything attaches to a backbone, and the only way it comes off again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from torch import Tensor, nn

from espalier_runtime.adapters.base import Hook, Reads


class Attachable(Protocol):
    """What can attach: its hooks, and what it reads, which orders several at one module."""

    @property
    def reads(self) -> Reads: ...

    def hooks(self) -> list[Hook]: ...


@contextmanager
def attached(model: nn.Module, members: Iterable[Attachable]) -> Iterator[None]:
    """Within the context the hooked modules give h' for h; after it the model is itself bit for bit.

    At one module every `before` works on its input in turn; every `after` is given the input as it came and the site's
    own outputs, those that read an input first. Whatever comes later sees what the earlier ones made of it.
    """
    by_module: dict[str, list[Hook]] = defaultdict(list)
    for member in sorted(members, key=lambda member: member.reads):
        for hook in member.hooks():
            by_module[hook.site.module].append(hook)
    touched: list[nn.Module] = []
    try:
        for path, hooks in by_module.items():
            module = model.get_submodule(path)
            if "forward" in vars(module):
                raise RuntimeError(f"{path} is already adapted: detach what is attached there first")
            # An instance attribute shadows the class's forward; deleting it is the whole of detaching.
            module.forward = _adapted(module.forward, hooks)
            touched.append(module)
        yield
    finally:
        for module in touched:
            del module.forward


def _adapted(frozen: Callable[..., object], hooks: list[Hook]) -> Callable[..., object]:
    befores = [hook.before for hook in hooks if hook.before is not None]
    afters = [(hook.site, hook.after) for hook in hooks if hook.after is not None]

    def forward(x: Tensor, *args: object, **kwargs: object) -> object:
        entering = x
        for before in befores:
            entering = before(entering)
        output = frozen(entering, *args, **kwargs)
        h = output[0] if isinstance(output, tuple) else output
        assert isinstance(h, Tensor)
        for site, after in afters:
            h = site.put(h, after(x, site.take(h)))
        return (h, *output[1:]) if isinstance(output, tuple) else h

    return forward
