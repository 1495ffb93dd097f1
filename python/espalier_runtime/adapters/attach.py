"""The one place where anything attaches to a backbone, and the only way it comes off again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal, Protocol

from torch import Tensor, nn

from espalier_runtime.backbone.sites import Site


class Residual(Protocol):
    """What can attach: h' of the frozen operation's input x and output h, at `site`."""

    @property
    def site(self) -> Site: ...

    @property
    def reads(self) -> Literal["input", "output"]: ...

    def __call__(self, x: Tensor, h: Tensor) -> Tensor: ...


@contextmanager
def attached(model: nn.Module, residuals: Iterable[Residual]) -> Iterator[None]:
    """Within the context the modules at the residuals' sites give h' for h; after it the model is itself bit for bit.

    Several residuals at one module run in this order: those that read its input, then those that read its output.
    """
    by_module: dict[str, list[Residual]] = defaultdict(list)
    for residual in residuals:
        by_module[residual.site.module].append(residual)
    touched: list[nn.Module] = []
    try:
        for path, members in by_module.items():
            module = model.get_submodule(path)
            if "forward" in vars(module):
                raise RuntimeError(f"{path} is already adapted: detach what is attached there first")
            ordered = sorted(members, key=lambda residual: residual.reads)
            # An instance attribute shadows the class's forward; deleting it is the whole of detaching.
            module.forward = _adapted(module.forward, ordered)
            touched.append(module)
        yield
    finally:
        for module in touched:
            del module.forward


def _adapted(frozen: Callable[..., object], residuals: list[Residual]) -> Callable[..., object]:
    def forward(x: Tensor, *args: object, **kwargs: object) -> object:
        output = frozen(x, *args, **kwargs)
        h = output[0] if isinstance(output, tuple) else output
        assert isinstance(h, Tensor)
        for residual in residuals:
            h = residual.site.put(h, residual(x, residual.site.take(h)))
        return (h, *output[1:]) if isinstance(output, tuple) else h

    return forward
