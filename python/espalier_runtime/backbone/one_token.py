"""The last layer for one token a row, where the head reads no other.

Of the last layer's outputs only the read token's matters, and of the other tokens only what it attends to: their keys
and values. So the query, the attention's output projection and the MLP take one token a row instead of all: of the
12 H^2 products a token that a layer of width H takes, 2 H^2 are left. The other tokens' outputs mean nothing then.
Exact for any head that reads the first or the last token of each row; rows must lie one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn

from espalier_runtime.backbone.attention import READS
from espalier_runtime.backbone.heads import Pooling
from espalier_runtime.backbone.layout import Layout, Packed
from espalier_runtime.backbone.load import Backbone


@dataclass(frozen=True)
class OneToken:
    """`at` (batch,): where each row's token lies among all `tokens`.

    Of the last `layer`: `alone` are the paths of modules whose input and output are of all tokens in the model's eyes,
    of which one a row is computed; `takes` those from whose output on the model has one token a row, up to `gives`.
    """

    reads: Pooling
    at: Tensor
    tokens: int
    layer: str
    alone: frozenset[str]
    takes: frozenset[str]
    gives: frozenset[str]

    @property
    def modules(self) -> frozenset[str]:
        """The paths of all modules that see one token a row."""
        return self.alone | self.takes | self.gives


def one_token(backbone: Backbone, layout: Layout, pooling: Pooling) -> OneToken | None:
    """What of the last layer can run for one token a row; None where the head reads all, or the model bars it."""
    if pooling == "mean" or not isinstance(layout, Packed):
        return None
    sites = {site.slot: site for site in backbone.sites if site.layer == backbone.layers - 1}
    if not {"attention.query", "attention.output", "mlp.up", "mlp.down"} <= sites.keys():
        return None
    query = sites["attention.query"].module
    shared = {sites[slot].module for slot in ("attention.key", "attention.value") if slot in sites}
    return OneToken(
        reads=pooling,
        at=layout.starts if pooling == "first" else layout.ends,
        tokens=sum(layout.lengths),
        layer=backbone.layer_modules[-1],
        alone=frozenset({sites["attention.output"].module} | ({query} - shared)),
        takes=frozenset(sites[slot].module for slot in ("mlp.up", "mlp.gate") if slot in sites),
        gives=frozenset({sites["mlp.down"].module}),
    )


@contextmanager
def reading(model: nn.Module, one: OneToken | None) -> Iterator[None]:
    """Within the context the last layer of `model` runs for one token a row, adapted as it may be; None: for all."""
    if one is None:
        yield
        return
    attending = list(model.get_submodule(one.layer).modules())
    shadowed = [(model.get_submodule(path), path) for path in sorted(one.modules)]
    before = [vars(module).get("forward") for module, _ in shadowed]
    try:
        for module in attending:
            setattr(module, READS, one.reads)
        for module, path in shadowed:
            module.forward = _for_one(module.forward, one, path)
        yield
    finally:
        for (module, _), forward in zip(shadowed, before, strict=True):
            if forward is None:
                vars(module).pop("forward", None)
            else:
                module.forward = forward
        for module in attending:
            vars(module).pop(READS, None)


def _for_one(forward: Callable[[Tensor], Tensor], one: OneToken, path: str) -> Callable[[Tensor], Tensor]:
    def run(x: Tensor) -> Tensor:
        output = forward(x if path in one.gives else x.index_select(-2, one.at))
        return output if path in one.takes else _spread(output, one.at, one.tokens)

    return run


def _spread(picked: Tensor, at: Tensor, tokens: int) -> Tensor:
    """(..., tokens, width) that is zero but at the tokens `at`."""
    return picked.new_zeros(*picked.shape[:-2], tokens, picked.shape[-1]).index_copy(-2, at, picked)
