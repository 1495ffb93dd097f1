from __future__ import annotations

from collections.abc import Sequence

import pytest
from conftest import tiny

from espalier_runtime import contract
from espalier_runtime.errors import InputError
from espalier_runtime.structure.costs import Price
from espalier_runtime.structure.space import Candidate, Space, build_space
from espalier_runtime.structure.stated import Costs, limits_of, reachable


def space() -> Space:
    """Three layers of ranks 1, 2 and 3-8 at the query: 64, 64 and 384 parameters."""
    kinds = [contract.LoraKind(kind="lora", ranks=[1, 2, 8], scale=2.0)]
    return build_space(contract.Space(slots=["attention.query"], layers=None, kinds=kinds), tiny("bert").sites)


class Linear:
    """`base`, `layer` more for each layer that backward reaches, and `each` a parameter."""

    def __init__(self, base: float, layer: float, each: float) -> None:
        self._base, self._layer, self._each = base, layer, each

    def price(self, candidates: Sequence[Candidate]) -> Price:
        depth = tuple(self._layer * (3 - c.site.layer) for c in candidates)
        own = tuple(self._each * c.parameters for c in candidates)
        return Price(self._base, depth, own, ((),) * len(candidates), {})


def costs() -> Costs:
    step = Linear(4.0, 2.0, 0.01)
    full = step.price(space().candidates).of(range(9))
    return Costs(step, Linear(2.0**20, 0.0, 1.0), full)


def test_parameters_are_a_share_of_the_backbone_below_one_and_else_a_count() -> None:
    assert limits_of(contract.Budget(parameters=0.01), space(), 20_000, None).parameters == 200
    assert limits_of(contract.Budget(parameters=1000), space(), 20_000, None).parameters == 1000


def test_fewer_parameters_than_the_cheapest_candidate_are_refused() -> None:
    with pytest.raises(InputError, match=r"63 parameters is below the cheapest candidate, .* with 64 parameters"):
        limits_of(contract.Budget(parameters=63), space(), 20_000, None)


def test_a_share_that_comes_to_no_parameters_is_refused_too() -> None:
    with pytest.raises(InputError, match=r"0 parameters is below the cheapest candidate"):
        limits_of(contract.Budget(parameters=1e-6), space(), 20_000, None)


def test_more_parameters_than_the_whole_space_has_are_refused() -> None:
    with pytest.raises(InputError, match="1,537 parameters is above the whole space of 1,536"):
        limits_of(contract.Budget(parameters=1537), space(), 20_000, None)


def test_step_time_is_a_share_of_the_full_structures_step() -> None:
    given = limits_of(contract.Budget(step_time=0.5), space(), 20_000, costs())
    assert given.limits[0].most == pytest.approx(0.5 * (4 + 6 + 15.36))
    assert given.parameters is None


def test_a_budget_that_nothing_keeps_is_refused_with_the_smallest_that_something_does() -> None:
    with pytest.raises(
        InputError, match=r"budget\.stepTime: 20%.*cheapest candidate, layers\.2\.attention\.query"
    ) as e:
        limits_of(contract.Budget(step_time=0.2), space(), 20_000, costs())
    assert "Allow at least 26.2% of a full step (6.6 of 25.4 ms)" in str(e.value.mend)
    assert limits_of(contract.Budget(step_time=0.262), space(), 20_000, costs()).fill([6]) == [6]
    with pytest.raises(InputError, match=r"budget\.memory: 1 MiB is below .* with 1.1 MiB"):
        limits_of(contract.Budget(memory=2**20), space(), 20_000, costs())


def test_of_several_budgets_the_one_that_is_missed_is_named() -> None:
    with pytest.raises(InputError, match="budget.stepTime"):
        limits_of(contract.Budget(step_time=0.2, parameters=1000, memory=2**30), space(), 20_000, costs())


def test_candidates_that_no_structure_within_the_budget_can_hold_are_left_out() -> None:
    given = limits_of(contract.Budget(step_time=0.4), space(), 20_000, costs())
    # 10.14 ms: layer 2 (6 ms) with all but all of it, layer 1 (8 ms) without rank 3-8, layer 0 (10 ms) not at all.
    assert [space().candidates[i].id for i in reachable(given)] == [
        "layers.1.attention.query/lora[0:1]",
        "layers.1.attention.query/lora[1:2]",
        "layers.2.attention.query/lora[0:1]",
        "layers.2.attention.query/lora[1:2]",
        "layers.2.attention.query/lora[2:8]",
    ]


def test_gates_share_out_the_most_parameters_that_the_other_limits_allow() -> None:
    # With 10.14 ms backward to layer 2 leaves 4.14 ms, 414 parameters: 64, 64 and no 384 more.
    assert limits_of(contract.Budget(step_time=0.4), space(), 20_000, costs()).spendable == 192
    assert limits_of(contract.Budget(step_time=0.4, parameters=70), space(), 20_000, costs()).spendable == 70
