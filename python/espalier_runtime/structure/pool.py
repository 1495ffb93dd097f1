"""The pool: the weights of all candidates of a structure or of a whole space, shared by all tasks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from espalier_runtime.adapters.attach import attached
from espalier_runtime.adapters.base import Adapter, AdapterKind
from espalier_runtime.backbone.layout import Layout
from espalier_runtime.structure.space import Candidate


class AdapterPool(nn.Module):
    """One module for each site and kind, and the gates of the current batch over the candidates."""

    _owner: Tensor

    def __init__(self, candidates: Sequence[Candidate], kinds: Mapping[str, AdapterKind], seed: int) -> None:
        super().__init__()
        self.candidates = tuple(candidates)
        self._kinds = kinds
        members: dict[str, list[int]] = defaultdict(list)
        for index, candidate in enumerate(self.candidates):
            members[_key(candidate)].append(index)
        self.groups = nn.ModuleDict()
        self._units: dict[str, slice] = {}
        owner: list[int] = []
        for key, indices in members.items():
            ordered = sorted(indices, key=lambda index: self.candidates[index].start)
            first = self.candidates[ordered[0]]
            chunks = [(self.candidates[index].start, self.candidates[index].size) for index in ordered]
            self.groups[key] = kinds[first.kind].build(first.site, chunks, seed)
            self._units[key] = slice(len(owner), len(owner) + sum(size for _, size in chunks))
            owner += [index for index in ordered for _ in range(self.candidates[index].size)]
        self.register_buffer("_owner", torch.tensor(owner, dtype=torch.long), persistent=False)

    @property
    def lowest_layer(self) -> int | None:
        """The lowest layer that carries an adapter; None where nothing is adapted."""
        return min((candidate.site.layer for candidate in self.candidates), default=None)

    @property
    def packs(self) -> bool:
        """Whether every kind works where rows lie one after the other."""
        return all(self._kinds[candidate.kind].packs for candidate in self.candidates)

    def members(self) -> Iterator[Adapter]:
        """The modules."""
        for group in self.groups.values():
            assert isinstance(group, Adapter)
            yield group

    def units(self, index: int) -> tuple[Adapter, Tensor]:
        """The module that holds candidate `index`, and the positions of the candidate's units in it."""
        key = _key(self.candidates[index])
        group = self.groups[key]
        assert isinstance(group, Adapter)
        return group, (self._owner[self._units[key]] == index).nonzero().squeeze(1)

    def part(self, indices: Sequence[int]) -> AdapterPool:
        """A pool of these candidates alone, with copies of their weights."""
        part = AdapterPool([self.candidates[index] for index in indices], self._kinds, 0).to(self._owner.device)
        part.copy_from(self)
        return part

    def use(
        self,
        gates: Tensor | None,
        tasks: Tensor | None = None,
        layout: Layout | None = None,
        one: frozenset[str] = frozenset(),
    ) -> None:
        """Sets the gates of the next forward, its rows' tasks (batch,), and how its rows lie.

        Gates (batch, candidates), (1, candidates) for all rows alike, or None for all open. Without `tasks` all rows
        are of the first task; without `layout` they lie one below the other. The modules `one` see one token a row.
        """
        units, by_unit = None, None
        if gates is not None and len(self.groups) > 0:
            units = gates.index_select(1, self._owner)
            by_unit = _spread(units, layout)
        for key, group in self.groups.items():
            assert isinstance(group, Adapter)
            if units is not None and one and group.modules_hooked() <= one:
                group.gates = units[:, self._units[key]].unsqueeze(0 if len(units) > 1 else 1)
            else:
                group.gates = None if by_unit is None else by_unit[:, :, self._units[key]]
            of_task = None if tasks is None or group.kind.tasks == 1 else functional.one_hot(tasks, group.kind.tasks)
            group.task = None if of_task is None else _spread(of_task, layout)

    def bears(self, one: frozenset[str]) -> bool:
        """Whether every adapter works where the modules `one` see one token a row and all others every token."""
        hooked = [(member.kind.by_token, member.modules_hooked()) for member in self.members()]
        return all(at and (at.isdisjoint(one) or (by_token and at <= one)) for by_token, at in hooked)

    def penalty(self) -> Tensor | None:
        """The sum of what the modules add to the loss; None where none does."""
        terms = [term for module in self.members() if (term := module.penalty()) is not None]
        return torch.stack(terms).sum() if terms else None

    @contextmanager
    def attached(self, model: nn.Module) -> Iterator[None]:
        """Within the context `model` runs with the pool's adapters."""
        try:
            with attached(model, self.members()):
                yield
        finally:
            self.use(None)

    def fold_gates(self, gates: Tensor) -> None:
        """Takes the gates (candidates,) into the weights of those candidates whose kind allows it."""
        for index in range(len(self.candidates)):
            group, units = self.units(index)
            group.fold_gates(units, gates[index].expand(len(units)))

    @torch.no_grad()
    def copy_from(self, other: AdapterPool) -> None:
        """Takes the weights of every candidate that `other` holds too."""
        theirs = {candidate.id: index for index, candidate in enumerate(other.candidates)}
        for index, candidate in enumerate(self.candidates):
            if candidate.id in theirs:
                group, units = self.units(index)
                source, source_units = other.units(theirs[candidate.id])
                group.copy_units(units, source, source_units)


def _spread(values: Tensor, layout: Layout | None) -> Tensor:
    """(columns,) of each row as they broadcast with its tokens; a single row's with those of all."""
    return values.unsqueeze(1) if len(values) == 1 or layout is None else layout.spread(values)


def _key(candidate: Candidate) -> str:
    return f"{candidate.site.name}/{candidate.kind}".replace(".", "/")
