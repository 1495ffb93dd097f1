"""Properties of fills under any costs and budgets, and of the gates that learn under one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
import torch
from conftest import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from espalier_runtime import contract
from espalier_runtime.structure.budget import spend, spent
from espalier_runtime.structure.costs import Parameters, Price
from espalier_runtime.structure.limits import Limit, Limits
from espalier_runtime.structure.space import Candidate, Space, build_space
from espalier_runtime.structure.structure import harden

amounts = st.floats(0, 100, allow_subnormal=False)
#: The same examples on every run, and no complaint about a busy machine.
steady = settings(max_examples=40, deadline=None, derandomize=True, database=None)


@cache
def space() -> Space:
    """15 candidates: three layers with two linears each, ranks 1, 2 and 3-4 of one and 1, 2 of the other."""
    kinds = [contract.LoraKind(kind="lora", ranks=[1, 2, 4], scale=2.0)]
    whole = build_space(
        contract.Space(slots=["attention.query", "mlp.up"], layers=None, kinds=kinds), tiny("bert").sites
    )
    return whole.within([i for i, c in enumerate(whole.candidates) if c.site.slot == "mlp.up" or c.level < 2])


class Listed:
    """Prices the candidates of the space as the price over all of them does."""

    def __init__(self, whole: Price) -> None:
        self.whole = whole

    def price(self, candidates: Sequence[Candidate]) -> Price:
        at = space().places_of(candidates)
        whole = self.whole
        needs = tuple(whole.needs[i] for i in at)
        return Price(whole.base, tuple(whole.depth[i] for i in at), tuple(whole.own[i] for i in at), needs, whole.parts)


@st.composite
def limits(draw: Any) -> Limits:
    """One to three limits whose costs have depth, shared parts and own terms, between nothing and everything."""
    return Limits([draw(limit()) for _ in range(draw(st.integers(1, 3)))], space().candidates)


@st.composite
def prices(draw: Any) -> Price:
    count = len(space().candidates)
    parts = {name: draw(amounts) for name in ("a", "b", "c")}
    per_layer = sorted((draw(amounts) for _ in range(3)), reverse=True)
    return Price(
        base=draw(amounts),
        depth=tuple(per_layer[c.site.layer] for c in space().candidates),
        own=tuple(draw(st.lists(amounts, min_size=count, max_size=count))),
        needs=tuple(draw(st.lists(st.sets(st.sampled_from("abc")).map(tuple), min_size=count, max_size=count))),
        parts=parts,
    )


@st.composite
def limit(draw: Any) -> Limit:
    price = draw(prices())
    most = price.base + draw(st.floats(0.01, 1.1)) * (price.of(range(len(space().candidates))) - price.base)
    return Limit("stepTime", Listed(price), most)


@st.composite
def scores(draw: Any, tasks: int = 2) -> torch.Tensor:
    row = st.lists(st.floats(0, 1, width=32), min_size=len(space().candidates), max_size=len(space().candidates))
    return torch.tensor([draw(row) for _ in range(tasks)])


def chosen(values: torch.Tensor, kept: Limits) -> list[int]:
    return space().places_of(harden(values, space(), kept, ["a", "b"], "m").candidates)


@steady
@given(limits(), scores())
def test_a_hardened_structure_keeps_every_limit(kept: Limits, values: torch.Tensor) -> None:
    assert kept.missed_by(chosen(values, kept)) is None


@steady
@given(limits(), scores())
def test_nothing_could_be_added_to_it(kept: Limits, values: torch.Tensor) -> None:
    found = chosen(values, kept)
    for other in set(range(len(space().candidates))) - set(found):
        assert kept.missed_by([*found, other]) is not None


@steady
@given(limits(), scores(), st.permutations(range(15)))
def test_the_order_of_the_candidates_does_not_matter(kept: Limits, values: torch.Tensor, order: list[int]) -> None:
    other = harden(
        values[:, order], space().within(order), kept.over(space().within(order).candidates), ["a", "b"], "m"
    )
    found = harden(values, space(), kept, ["a", "b"], "m")
    assert {c.id for c in other.candidates} == {c.id for c in found.candidates}


@steady
@given(prices(), st.permutations(range(15)), st.integers(0, 14))
def test_a_cost_only_grows_and_does_not_depend_on_the_order(price: Price, order: list[int], size: int) -> None:
    costs = [price.of(order[:count]) for count in range(16)]
    assert all(later >= earlier for earlier, later in pairwise(costs))
    assert price.of(sorted(order[:size])) == pytest.approx(costs[size])


@steady
@given(scores(), st.floats(0.01, 0.99), st.floats(0.05, 5), st.integers(0, 99))
def test_a_step_of_the_gates_leaves_the_spent_budget_unchanged(
    values: torch.Tensor, share: float, temperature: float, seed: int
) -> None:
    costs = torch.tensor([float(c.parameters) for c in space().candidates], dtype=torch.double)
    logits = (4 * values.double()).requires_grad_()
    budget = share * float(costs.sum())
    p = spend(logits, costs, budget, temperature)
    weights = torch.randn(p.shape, dtype=torch.double, generator=torch.Generator().manual_seed(seed))
    (p * weights).sum().backward()
    assert logits.grad is not None
    # First order: the gradient has no part along the direction in which all logits rise together, which is b's.
    assert float(logits.grad.sum()) == pytest.approx(0, abs=1e-9 * float(logits.grad.abs().sum()) + 1e-12)
    moved = spend(logits.detach() - 0.5 * logits.grad, costs, budget, temperature)
    assert math.isclose(spent(moved, costs), budget, rel_tol=1e-9)


def test_of_the_depths_the_one_that_captures_the_most_is_taken() -> None:
    # Layer 0 costs all of the budget to reach and holds the best candidate; layers 1 and 2 hold many good ones.
    count = len(space().candidates)
    depth = tuple({0: 9.0, 1: 2.0, 2: 1.0}[c.site.layer] for c in space().candidates)
    price = Price(0.0, depth, (1.0,) * count, ((),) * count, {})
    kept = Limits([Limit("stepTime", Listed(price), 10.0)], space().candidates)
    values = torch.tensor([[0.99 if c.site.layer == 0 else 0.9 for c in space().candidates]])
    found = harden(values, space(), kept, ["a"], "m")
    assert {c.site.layer for c in found.candidates} == {1, 2}
    assert len(found.candidates) == 8


def test_costs_without_depth_have_one_depth() -> None:
    kept = Limits([Limit("parameters", Parameters(), 300)], space().candidates)
    assert kept.depths() == [frozenset(range(len(space().candidates)))]


@steady
@given(limits(), scores(), st.integers(0, 14))
def test_what_is_settled_is_paid_for_first(kept: Limits, values: torch.Tensor, settled: int) -> None:
    rest = space().within([i for i in range(15) if i != settled])
    one = space().candidates[settled]
    left = kept.over(rest.candidates, settled=[one])
    found = rest.within(left.fill(range(14)))
    if found.candidates:
        joined = (*found.candidates, one)
        assert kept.over(joined).missed_by(range(len(joined))) is None
