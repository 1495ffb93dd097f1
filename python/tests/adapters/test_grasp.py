from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from places import layer

from espalier_runtime import contract
from espalier_runtime.adapters.grasp import Grasp, grasp


def spec(**changes: Any) -> contract.GraspKind:
    return contract.GraspKind.model_validate({"kind": "grasp", "groups": [3], "grouping": "permuted", **changes})


def filled(adapter: Grasp) -> Grasp:
    with torch.no_grad():
        adapter.delta.copy_(torch.tensor([0.5, -0.3, 0.1]))
        adapter.beta.copy_(torch.tensor([1.0, 0.0, -2.0]))
    return adapter


def test_folding_into_the_following_linear_is_exact() -> None:
    kind = grasp(spec())
    adapter = filled(kind.build(layer()["mlp.up"], [(0, 3)], 0))
    linear = torch.nn.Linear(8, 12)
    groups = kind.groups(layer()["mlp.up"])
    gamma, beta = (1 + adapter.delta)[groups], adapter.beta[groups]
    weight = linear.weight / gamma
    x = torch.randn(2, 3, 8)
    folded = torch.nn.functional.linear(x, weight, linear.bias - weight @ beta)
    torch.testing.assert_close(linear(adapter.entering(x)), folded, atol=1e-6, rtol=1e-6)


def test_groups_are_as_equal_as_they_can_be_and_the_same_for_every_seed() -> None:
    kind, site = grasp(spec()), layer()["mlp.up"]
    assert sorted(Counter(kind.groups(site)).values()) == [2, 3, 3]
    assert kind.groups(site) == kind.groups(layer()["mlp.up"])
    assert kind.groups(site) != sorted(kind.groups(site))
    assert grasp(spec(grouping="contiguous")).groups(site) == [0, 0, 0, 1, 1, 1, 2, 2]


def test_a_group_that_is_not_chosen_leaves_its_dimensions_alone() -> None:
    kind = grasp(spec(groups=[1, 3]))
    adapter = kind.build(layer()["mlp.up"], [(0, 1)], 0)
    with torch.no_grad():
        adapter.beta.fill_(1.0)
    x = torch.randn(2, 3, 8)
    changed = (adapter.entering(x) != x).any(0).any(0)
    assert changed.tolist() == [group == 0 for group in kind.groups(layer()["mlp.up"])]
