from __future__ import annotations

import pytest
import torch
from problems import problem

from espalier_runtime import contract
from espalier_runtime.search.sora import ProximalGates, search_sora, threshold


def sora(**changes: object) -> contract.SoraMethod:
    return contract.SoraMethod.model_validate({"method": "sora", "name": "sora", **changes})


def test_the_threshold_is_the_least_that_keeps_the_limit() -> None:
    tops, costs = torch.tensor([0.9, 0.2, 0.5, 0.4]), torch.tensor([10.0, 10.0, 10.0, 10.0])
    assert threshold(tops, costs, 40) == 0.0
    assert threshold(tops, costs, 39) == pytest.approx(0.2)
    assert threshold(tops, costs, 20) == pytest.approx(0.4)
    assert threshold(tops, costs, 0) == pytest.approx(0.9)


def test_a_step_is_a_soft_threshold_after_adam() -> None:
    costs = torch.tensor([10.0, 10.0, 10.0])
    gates = ProximalGates(1, costs, 20, sora(gateLearningRate=0.1, warmup=0.0, budgetReached=0.0))
    gates.open(0, 10)
    gates.learn(torch.tensor([[1.0, 0.0, -1.0]]))
    # Adam's first step is the rate along the gradient's sign: 0.9, 1, 1.1; the least is shrunk to zero.
    assert gates.open(1, 10)[0].tolist() == pytest.approx([0.0, 0.1, 0.2], abs=1e-6)
    assert gates.spent() == 20


def test_a_gate_at_zero_comes_back_where_its_gradient_asks() -> None:
    costs = torch.tensor([10.0, 10.0])
    gates = ProximalGates(1, costs, 10, sora(gateLearningRate=0.1, warmup=0.0, budgetReached=0.0))
    gates.open(0, 99)
    gates.learn(torch.tensor([[1.0, -1.0]]))
    assert gates.open(1, 99)[0].tolist() == pytest.approx([0.0, 0.2], abs=1e-6)
    for step in range(1, 30):
        gates.open(step, 99)
        gates.learn(torch.tensor([[-1.0, 1.0]]))
    opened = gates.open(30, 99)[0]
    assert opened[0] > 0 == opened[1]


def test_open_gates_rank_before_those_that_closed_and_the_later_before_the_earlier() -> None:
    costs = torch.full((3,), 10.0)
    gates = ProximalGates(1, costs, 10, sora(gateLearningRate=0.1, warmup=0.0, budgetReached=1.0))
    for step in range(10):
        gates.open(step, 10)
        gates.learn(torch.tensor([[0.5, -1.0, -0.1 if step < 3 else 1.0]]))
    first, second, third = gates.scores()[0].tolist()
    assert second > 0.5 > third > first > 0


def test_a_task_that_shut_a_gate_does_without_what_another_keeps_open() -> None:
    costs = torch.full((2,), 10.0)
    gates = ProximalGates(2, costs, 10, sora(gateLearningRate=0.1, warmup=0.0, budgetReached=1.0))
    for step in range(10):
        gates.open(step, 10)
        gates.learn(torch.tensor([[-1.0, 1.0], [1.0 if step > 0 else -1.0, 1.0]]))
    opened = gates.open(10, 10)
    assert opened[0, 0] > 0 == opened[1, 0]
    scores = gates.scores()
    assert scores[0, 0] > 0.5
    assert scores[1, 0] == 0
    assert scores[0, 1] == scores[1, 1] > 0  # no task has it open


def test_open_gates_cost_at_most_the_falling_budget_and_the_structure_meets_it() -> None:
    given = problem(budget=1000)
    found = search_sora(given, sora(), "sora")
    assert 936 < found.structure.union <= 1000
    assert found.structure == search_sora(problem(budget=1000), sora(), "sora").structure
    assert found.history is not None
    last = found.history.values[-1].amax(0)
    assert float(given.costs()[last > 0.5].sum()) <= 1000


def test_a_search_that_was_stopped_goes_on_from_its_state() -> None:
    costs = torch.full((4,), 10.0)
    generator = torch.Generator().manual_seed(0)
    gradients = torch.randn(10, 2, 4, generator=generator)
    whole, first, second = (ProximalGates(2, costs, 20, sora()) for _ in range(3))
    for step in range(10):
        whole.open(step, 10)
        whole.learn(gradients[step])
    for step in range(5):
        first.open(step, 10)
        first.learn(gradients[step])
    second.load_state_dict(first.state_dict())
    for step in range(5, 10):
        second.open(step, 10)
        second.learn(gradients[step])
    assert torch.equal(second.open(10, 10), whole.open(10, 10))
    assert torch.equal(second.scores(), whole.scores())


def test_while_no_gate_differs_from_another_none_is_shut() -> None:
    """W_up starts at zero, and with it every gate's gradient: shut, no gate and no W_up would ever move again."""
    gates = ProximalGates(2, torch.full((5,), 10.0), 10, sora(warmup=0.0, budgetReached=0.0))
    gates.open(0, 10)
    gates.learn(torch.zeros(2, 5))
    assert torch.equal(gates.open(1, 10), torch.ones(2, 5))
    gates.learn(torch.tensor([[0.0, -1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]]))
    assert gates.spent() == 10
