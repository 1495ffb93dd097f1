"""The protocol of an adapter kind, and of the module that holds one kind at one site.

A kind says what it costs and makes the module; the module says which of the model's modules it hooks into and what it
computes there. Everything else (gates, budgets, structures, records, resume) knows only this protocol.

A module holds *units*, the indivisible parts of its size: inner dimensions of a residual, groups of a scaling, or a
single unit where a vector belongs together. One gate a unit, z in [0, 1], scales what the unit adds: at z = 0 the unit
is as if it were not there, and at init every unit adds exactly nothing.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from espalier_runtime.adapters.tokens import Tokens
from espalier_runtime.backbone.beside import Giver
from espalier_runtime.backbone.sites import Site

#: What a kind reads: the sub-block's input, the adapted module's input, or its output. Hooks run in this order.
Reads = Literal["entry", "input", "output"]

#: The (start, size) of the chosen chunks at a site, in order of start.
Chunks = Sequence[tuple[int, int]]


class Hook(NamedTuple):
    """What is done at one module: `before` gives x' for its input x, `after` gives h' for x and its output h.

    `beside` gives the site's attention keys and values beside those of the tokens.
    `outer`: it encloses the module's other hooks, which then see what its `before` lets through.
    """

    site: Site
    before: Callable[[Tensor], Tensor] | None = None
    after: Callable[[Tensor, Tensor], Tensor] | None = None
    outer: bool = False
    beside: Giver | None = None


@dataclass(frozen=True, kw_only=True)
class AdapterKind(ABC):
    """What distinguishes one kind from another.

    `equation` in one line; `source` its paper. `slots`: where it may attach. `sizes`: units a site may have, growing;
    each step from one to the next is one chunk. `reads` orders several adapters at one module. `mergeable`: it is
    affine in a linear's input, or in a norm's output, so that it can be folded into the module. `peft`: PEFT's name
    for what holds it, of one task where it has parts of a task's own; None where nothing of PEFT's does. `couples`:
    what a unit adds depends on the other units, so that several adapters of it in one module would not simply add
    up. `tasks`: how many tasks a kind is made for that has parts of a task's own. `packs`: it works token by token,
    so that the rows of a batch may lie one after the other. `by_token`: it also works where its modules see only
    some of the tokens.
    `needs`: what a backbone must have beside a slot. `shares_out`: what a unit is depends on how many there are at
    most, `sizes[-1]`.
    """

    name: str
    source: str
    equation: str
    slots: tuple[str, ...]
    sizes: tuple[int, ...] = (1,)
    reads: Reads = "output"
    mergeable: bool = False
    peft: str | None = None
    couples: bool = False
    tasks: int = 1
    packs: bool = True
    by_token: bool = False
    needs: str | None = None
    shares_out: bool = False

    @abstractmethod
    def parameters(self, site: Site, size: int) -> int:
        """Trainable parameters of `size` units at `site`, those of all tasks' own parts among them."""

    def of_others(self, site: Site, size: int) -> int:  # noqa: ARG002
        """How many of `parameters` are other tasks' own: a task alone has no use for them."""
        return 0

    @abstractmethod
    def build(self, site: Site, chunks: Chunks, seed: int) -> Adapter:
        """The module of these chunks; a unit's start depends on seed, site, kind and the unit's index alone."""

    def applies(self, slots: Sequence[str], site: Site) -> bool:
        """Whether a space that names `slots` offers `site` to this kind.

        For kinds of linears and norms, `attention` and `mlp` stand for those inside.
        """
        if site.slot not in self.slots or (self.reads == "entry" and site.entry is None):
            return False
        return site.slot in slots or site.slot.partition(".")[0] in slots


class Adapter(nn.Module):
    """One kind at one site; a subclass gives `forward`, and `hooks` where it works elsewhere than after the module.

    `gates` z of the current batch: None for all open, else of a shape that broadcasts with (batch, seq, units).
    `task` e of the current batch, one-hot: None where all rows are of the first task, else of a shape that broadcasts
    with (batch, seq, tasks). Where rows lie one after the other, batch is 1 and seq counts the tokens of all.
    `tokens` of the current batch, where something attached beside it runs for some of them only.
    """

    #: For each parameter, which of its dimensions counts units.
    unit_dimensions: ClassVar[Mapping[str, int]]
    #: The parameters in which what a unit adds is linear; none where there are no such.
    linear_in: ClassVar[Sequence[str]] = ()
    gates: Tensor | None
    task: Tensor | None
    tokens: Tokens | None

    def __init__(self, kind: AdapterKind, site: Site, chunks: Chunks) -> None:
        super().__init__()
        self.kind = kind
        self.reads = kind.reads
        self.site = site
        self.indices = [unit for start, size in chunks for unit in range(start, start + size)]
        self.gates = None
        self.task = None
        self.tokens = None
        self._entered: Tensor | None = None

    def hooks(self) -> list[Hook]:
        """Where it works: after the site's module, and where it reads the sub-block's input, before that enters."""
        entry = self.site.entry
        if self.reads == "entry" and entry is not None and entry.module != self.site.module:
            return [Hook(entry, before=self._remember), Hook(self.site, after=self)]
        return [Hook(self.site, after=self)]

    def modules_hooked(self) -> frozenset[str]:
        """The paths of the modules that it works at."""
        return frozenset(hook.site.module for hook in self.hooks())

    def read(self, x: Tensor, h: Tensor) -> Tensor:
        """What the kind reads: the sub-block's input, x or h."""
        if self.reads == "output":
            return h
        entered, self._entered = self._entered, None
        return x if entered is None else entered

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """h' of the frozen operation's input x (batch, seq, inputs) and output h (batch, seq, outputs)."""
        raise NotImplementedError

    def _remember(self, x: Tensor) -> Tensor:
        self._entered = x
        return x

    def open_units(self, values: Tensor) -> Tensor | None:
        """z as it broadcasts with `values` (batch, seq, units or width); None for all open."""
        return None if self.gates is None else self._beside(values, self.gates)

    def own_task(self, values: Tensor) -> Tensor:
        """e as it broadcasts with `values` but for its last dimension, (..., tasks)."""
        if self.task is None:
            return functional.one_hot(torch.tensor(0, device=values.device), self.kind.tasks).to(values.dtype)
        return self._beside(values, self.task)

    def _beside(self, values: Tensor, of_rows: Tensor) -> Tensor:
        """What rows have, (batch, 1, columns), as it broadcasts with `values` (batch, seq, width).

        A model may lay the rows of a batch one after the other, as OPT's MLP does: `values` (batch * seq, width).
        """
        of_rows = of_rows.to(values.dtype)
        if self.tokens is not None and self.tokens.kept is not None:
            return self.tokens.of_kept(of_rows).view(*values.shape[:-1], of_rows.shape[-1])
        if values.dim() == of_rows.dim():
            return of_rows
        return of_rows.expand(len(of_rows), values.shape[0] // len(of_rows), -1).flatten(0, 1)

    def low_rank(self, units: Tensor, task: int) -> tuple[Tensor, Tensor, float]:
        """A (r, inputs), B (outputs, r) and s of what these units, all open, add for a row of `task`: s B A x.

        Of the kinds whose `peft` is "lora".
        """
        raise NotImplementedError

    def penalty(self) -> Tensor | None:
        """What the kind adds to the loss, a number; None where it adds nothing."""
        return None

    def gradients(self, units: Tensor) -> list[Tensor]:
        """The gradients of every parameter's slice that belongs to the units at these positions."""
        return [
            parameter.grad.index_select(self.unit_dimensions[name], units)
            for name, parameter in self.named_parameters()
            if parameter.grad is not None
        ]

    @torch.no_grad()
    def fold_gates(self, units: Tensor, gates: Tensor) -> bool:
        """Takes gates z (units,) of these units into their weights: open, they then add what they added under z.

        False, and nothing is changed, where no weights do that.
        """
        for name, parameter in self.named_parameters():
            if name not in self.linear_in:
                continue
            dimension = self.unit_dimensions[name]
            factors = gates.to(parameter).view(-1, *[1] * (parameter.dim() - 1 - dimension))
            parameter.index_copy_(dimension, units, parameter.index_select(dimension, units) * factors)
        return len(self.linear_in) > 0

    @torch.no_grad()
    def copy_units(self, units: Tensor, source: Adapter, source_units: Tensor) -> None:
        """Takes the weights of units at `source_units` of another module of the same kind and site."""
        theirs = dict(source.named_parameters())
        for name, parameter in self.named_parameters():
            dimension = self.unit_dimensions[name]
            parameter.index_copy_(dimension, units, theirs[name].index_select(dimension, source_units))


def entry_of(site: Site) -> Site:
    """The entry of a site that `applies` let through."""
    assert site.entry is not None
    return site.entry


def unit_rows(seed: int, site: Site, name: str, indices: Sequence[int], *shape: int) -> Tensor:
    """Rows of uniform numbers in [-1, 1), (units, *shape), each fixed by seed, site, name and its own index alone."""
    digest = hashlib.sha256(f"{seed}/{site.name}/{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    rows = torch.rand(max(indices) + 1, *shape, generator=generator).mul_(2).sub_(1)
    return rows[list(indices)].clone()
