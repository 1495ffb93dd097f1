"""Costs: what a set S of candidates costs, in parameters, milliseconds of a step, or bytes.

    cost(S) = base + max_i depth_i + sum of the shared parts that S needs, each once + sum_i own_i        (i in S)

A step's time is not additive: backward goes down to the lowest adapted site (`depth`), and a site pays for its first
chunk what its second gets for free (`parts`). Every term only grows with S, so that what does not fit now never will.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from espalier_runtime.structure.space import Candidate


@dataclass(frozen=True)
class Price:
    """The terms of the module's formula, in one unit.

    `depth` and `own` have one entry a candidate; `needs[i]` names the shared parts of candidate i, `parts` what each
    costs. All are at least zero.
    """

    base: float
    depth: tuple[float, ...]
    own: tuple[float, ...]
    needs: tuple[tuple[str, ...], ...]
    parts: dict[str, float]

    def of(self, chosen: Collection[int]) -> float:
        """cost(S); `base` where S is empty."""
        return Bill(self, chosen).total


class Measure(Protocol):
    """What prices candidates, those of a space and any others of its backbone."""

    def price(self, candidates: Sequence[Candidate]) -> Price: ...


class Bill:
    """A set that grows, and what it costs so far."""

    def __init__(self, price: Price, chosen: Iterable[int] = ()) -> None:
        self._price = price
        self._depth = 0.0
        self._sum = price.base
        self._has: set[str] = set()
        for index in chosen:
            self.add(index)

    @property
    def total(self) -> float:
        """What the set costs."""
        return self._sum + self._depth

    def with_one(self, index: int) -> float:
        """What the set would cost with candidate `index`, which it does not hold."""
        return self._sum + self._extra(index) + max(self._depth, self._price.depth[index])

    def add(self, index: int) -> None:
        """Takes candidate `index` in."""
        self._sum += self._extra(index)
        self._depth = max(self._depth, self._price.depth[index])
        self._has.update(self._price.needs[index])

    def _extra(self, index: int) -> float:
        new = sum(self._price.parts[part] for part in self._price.needs[index] if part not in self._has)
        return self._price.own[index] + new


class Parameters:
    """Parameters: additive, from nothing on."""

    def price(self, candidates: Sequence[Candidate]) -> Price:
        """Every candidate's own parameters."""
        none = (0.0,) * len(candidates)
        return Price(0.0, none, tuple(float(c.parameters) for c in candidates), ((),) * len(candidates), {})
