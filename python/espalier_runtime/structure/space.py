"""The space: the set of candidates that a search can switch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from espalier_runtime import contract
from espalier_runtime.adapters.base import AdapterKind
from espalier_runtime.adapters.kinds import kinds_of
from espalier_runtime.backbone.sites import Site, layer_count
from espalier_runtime.errors import InputError


@dataclass(frozen=True)
class Candidate:
    """`size` inner units of `kind` at `site`, from unit `start` on; `level` counts the site's chunks.

    A site may have several adapters of a kind, its paths: the units of path e follow those of path e - 1, so that all
    run as one group.
    """

    site: Site
    kind: str
    start: int
    size: int
    level: int
    parameters: int
    path: int = 0
    #: How many of the parameters are the own of other tasks, for whatever task one looks at.
    of_others: int = 0

    @classmethod
    def of(cls, kind: AdapterKind, site: Site, start: int, size: int, level: int, path: int = 0) -> Candidate:
        """The candidate at what it costs."""
        parameters, of_others = kind.parameters(site, size), kind.of_others(site, size)
        return cls(site, kind.name, start, size, level, parameters, path, of_others)

    @property
    def id(self) -> str:
        return f"{self.site.name}/{self.kind}[{self.start}:{self.start + self.size}]"


@dataclass(frozen=True)
class Space:
    """All candidates, ordered by layer, slot, kind and start, and the kinds they are made of."""

    candidates: tuple[Candidate, ...]
    kinds: Mapping[str, AdapterKind]

    @property
    def parameters(self) -> int:
        """Cost of the full structure."""
        return sum(candidate.parameters for candidate in self.candidates)

    def places_of(self, chosen: Sequence[Candidate]) -> list[int]:
        """The indices of the candidates `chosen`, which the space holds."""
        place = {candidate.id: index for index, candidate in enumerate(self.candidates)}
        return [place[candidate.id] for candidate in chosen]

    def within(self, kept: Sequence[int]) -> Space:
        """The space of the candidates `kept`, in their order."""
        return Space(tuple(self.candidates[index] for index in kept), self.kinds)

    def of_last(self, layers: int | None, of: int) -> list[int]:
        """The indices of the candidates in the last `layers` layers of a backbone that has `of`; None: of all."""
        lowest = 0 if layers is None else of - layers
        return [index for index, candidate in enumerate(self.candidates) if candidate.site.layer >= lowest]


def build_space(spec: contract.Space, sites: tuple[Site, ...], tasks: int = 1) -> Space:
    """The space that `spec` spans over `sites`, for a number of tasks.

    Raises InputError for a layer the backbone does not have, a slot its family lacks, a kind or slot of the
    experiment that no candidate uses, and several paths of a kind that cannot have them.
    """
    layers = _layers(spec, sites)
    kinds = kinds_of(spec.kinds, tasks)
    _check_paths(spec, kinds)
    candidates = tuple(
        candidate
        for site in sites
        if site.layer in layers
        for kind in kinds.values()
        if kind.applies(spec.slots, site)
        for candidate in _chunks(site, kind, spec.paths)
    )
    _check_used(spec, kinds, sites, candidates)
    return Space(candidates, kinds)


def _chunks(site: Site, kind: AdapterKind, paths: int) -> list[Candidate]:
    starts, largest, count = (0, *kind.sizes[:-1]), kind.sizes[-1], len(kind.sizes)
    return [
        Candidate.of(kind, site, path * largest + start, end - start, path * count + level, path)
        for path in range(paths)
        for level, (start, end) in enumerate(zip(starts, kind.sizes, strict=True))
    ]


def _check_paths(spec: contract.Space, kinds: Mapping[str, AdapterKind]) -> None:
    for name, kind in kinds.items():
        if spec.paths > 1 and kind.couples:
            raise InputError(
                f'space.paths: {spec.paths} paths of "{name}" do not add up, because what one of its units does depends'
                f" on the others: {kind.equation}",
                mend='Set space.paths to 1, or leave this kind out; "uTuning" can have paths without softmax.',
            )


def _layers(spec: contract.Space, sites: tuple[Site, ...]) -> set[int]:
    count = layer_count(sites)
    if spec.layers is None:
        return set(range(count))
    absent = sorted(layer for layer in spec.layers if layer >= count)
    if absent:
        raise InputError(
            f"space.layers: layer {absent[0]} does not exist; the backbone has layers 0 to {count - 1}",
            mend=f"Name layers between 0 and {count - 1}.",
        )
    return set(spec.layers)


def _check_used(
    spec: contract.Space,
    kinds: Mapping[str, AdapterKind],
    sites: tuple[Site, ...],
    candidates: tuple[Candidate, ...],
) -> None:
    offered = {site.slot for site in sites}
    for index, slot in enumerate(spec.slots):
        if slot not in offered:
            raise InputError(
                f'space.slots[{index}]: this backbone has no slot "{slot}"',
                mend=f"Use some of: {', '.join(sorted(offered))}.",
            )
        if not any(kind.applies([slot], site) for kind in kinds.values() for site in sites):
            _check_needs(kinds, sites)
            _check_sizes(kinds, sites)
            fitting = sorted({name for kind in kinds.values() for name in kind.slots} & offered)
            raise InputError(
                f'space.slots[{index}]: none of the kinds {", ".join(kinds)} can attach at "{slot}"',
                mend=f"Add a kind that can, or use some of: {', '.join(fitting)}.",
            )
    used = {candidate.kind for candidate in candidates}
    for index, (name, kind) in enumerate(kinds.items()):
        if name not in used:
            _check_needs({name: kind}, sites)
            _check_sizes({name: kind}, sites)
            raise InputError(
                f'space.kinds[{index}]: "{name}" can attach at none of the slots {", ".join(spec.slots)}',
                mend=f"Add one of these slots: {', '.join(slot for slot in kind.slots if slot in offered)}.",
            )


def _check_sizes(kinds: Mapping[str, AdapterKind], sites: tuple[Site, ...]) -> None:
    """Raises InputError where a kind shares out a site's inputs among more units than any site has."""
    for name, kind in kinds.items():
        most = max((site.inputs for site in sites if site.slot in kind.slots), default=0)
        if kind.shares_out and kind.sizes[-1] > most:
            raise InputError(
                f'space.kinds: "{name}" in {kind.sizes[-1]} groups, but no place for it has more than {most} inputs',
                mend=f"Give it at most {most} groups.",
            )


def _check_needs(kinds: Mapping[str, AdapterKind], sites: tuple[Site, ...]) -> None:
    """Raises InputError where the backbone lacks what one of the kinds needs, whatever slots are named."""
    for name, kind in kinds.items():
        if kind.needs is not None and not any(kind.applies([site.slot], site) for site in sites):
            raise InputError(
                f'space.kinds: "{name}" needs {kind.needs}, which this backbone does not have',
                mend="Leave the kind out, or use another backbone; `espalier kinds MODEL` says which have a place.",
            )
