"""Limits: the budgets of an experiment, all of which a structure must keep, and the fill that keeps them.

Where a cost depends on the lowest adapted site, a fill in the order of the scores would spend the budget on reaching
the first deep candidate. So the fill is tried for each depth, first among the candidates that it reaches, and the best
of these sets is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from espalier_runtime.structure.costs import Bill, Measure, Parameters
from espalier_runtime.structure.space import Candidate

Field = Literal["parameters", "stepTime", "memory"]


@dataclass(frozen=True)
class Limit:
    """cost(S) <= most, in parameters, milliseconds of a step, or bytes."""

    field: Field
    measure: Measure
    most: float

    def said(self, amount: float) -> str:
        """An amount with its unit."""
        match self.field:
            case "parameters":
                return f"{amount:,.0f} parameters"
            case "stepTime":
                return f"{amount:.1f} ms a step"
            case "memory":
                return f"{amount / 2**20:,.1f} MiB"


class Limits:
    """Limits, at least one, over `candidates`; what the candidates `settled` cost beside them is always counted."""

    def __init__(
        self, limits: Sequence[Limit], candidates: Sequence[Candidate], settled: Sequence[Candidate] = ()
    ) -> None:
        self.limits = tuple(limits)
        self.candidates = tuple(candidates)
        self.settled = tuple(settled)
        self.prices = [limit.measure.price((*candidates, *settled)) for limit in limits]

    def over(self, candidates: Sequence[Candidate], settled: Sequence[Candidate] = ()) -> Limits:
        """The same limits over other candidates."""
        return Limits(self.limits, candidates, settled)

    @property
    def parameters(self) -> int | None:
        """The limit in parameters, where there is one."""
        return next((int(limit.most) for limit in self.limits if limit.field == "parameters"), None)

    @cached_property
    def spendable(self) -> int:
        """What gates share out over the candidates, in parameters.

        That is the limit itself, or where other limits hold about the most that a structure within them has.
        """
        taken = sum(candidate.parameters for candidate in self.settled)
        stated = [] if self.parameters is None else [self.parameters - taken]
        others = [limit for limit in self.limits if limit.field != "parameters"]
        if not others:
            return stated[0]
        even = sorted(range(len(self.candidates)), key=lambda i: _evenly(self.candidates[i]))
        size = Parameters().price(self.candidates)
        return min([*stated, int(size.of(Limits(others, self.candidates, self.settled).best_fill(even, size.of)))])

    def missed_by(self, chosen: Collection[int]) -> tuple[Limit, float] | None:
        """The first limit that the set does not keep, and what the set costs there."""
        for limit, bill in zip(self.limits, self._bills(chosen), strict=True):
            if not _fits(bill.total, limit.most):
                return limit, bill.total
        return None

    def fill(self, order: Iterable[int]) -> list[int]:
        """The candidates taken when going through `order` and taking whatever still fits."""
        bills = [(bill, limit.most) for bill, limit in zip(self._bills(), self.limits, strict=True)]
        taken = []
        for index in order:
            if all(_fits(bill.with_one(index), most) for bill, most in bills):
                taken.append(index)
                for bill, _ in bills:
                    bill.add(index)
        return taken

    def depths(self) -> list[frozenset[int]]:
        """The sets of candidates that backward reaches at each depth, all candidates first.

        There are only all candidates where no cost depends on depth.
        """
        count = len(self.candidates)
        sets = {
            frozenset(i for i, own in enumerate(price.depth[:count]) if own <= depth)
            for price in self.prices
            for depth in set(price.depth[:count])
        }
        return sorted(sets, key=lambda reached: (-len(reached), sorted(reached)))

    def fill_reaching(self, order: Sequence[int], reached: frozenset[int]) -> list[int]:
        """The fill in `order` of the candidates `reached`, then of the others, so that none of `order` still fits."""
        first = [index for index in order if index in reached]
        rest = [index for index in order if index not in reached]
        return sorted(self.fill([*first, *rest]))

    def best_fill(self, order: Sequence[int], value: Callable[[list[int]], Any]) -> list[int]:
        """Of the fills of all depths, each in `order`, the one with the largest `value`; of equals the deepest."""
        return max((self.fill_reaching(order, reached) for reached in self.depths()), key=value, default=[])

    def _bills(self, chosen: Collection[int] = ()) -> list[Bill]:
        count = len(self.candidates)
        settled = range(count, count + len(self.settled))
        return [Bill(price, [*settled, *chosen]) for price in self.prices]


def _evenly(candidate: Candidate) -> tuple[int, int, str]:
    return candidate.level, -candidate.site.layer, candidate.id


def _fits(cost: float, most: float) -> bool:
    # Sums of the same terms in another order may differ in their last digits.
    return cost <= most * (1 + 1e-12)
