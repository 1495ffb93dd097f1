from __future__ import annotations

import pytest
import torch

from espalier_runtime.structure.budget import spend, spent


def setup(tasks: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(tasks, 20, dtype=torch.double, generator=generator, requires_grad=True)
    return logits, torch.rand(20, dtype=torch.double, generator=generator) * 5 + 0.5


@pytest.mark.parametrize("tasks", [1, 3])
@pytest.mark.parametrize("share", [0.001, 0.3, 0.999])
@pytest.mark.parametrize("temperature", [0.05, 1.0, 10.0])
def test_spends_the_budget_exactly(tasks: int, share: float, temperature: float) -> None:
    logits, costs = setup(tasks)
    budget = share * float(costs.sum())
    assert spent(spend(logits, costs, budget, temperature), costs) == pytest.approx(budget, rel=1e-10)


@pytest.mark.parametrize("tasks", [1, 3])
def test_the_implicit_gradient_is_that_of_finite_differences(tasks: int) -> None:
    logits, costs = setup(tasks)
    assert torch.autograd.gradcheck(lambda a: spend(a, costs, 0.3 * float(costs.sum()), 0.7), (logits,), eps=1e-6)


def test_tasks_that_share_the_maximum_share_its_price() -> None:
    _, costs = setup(1)
    logits = torch.zeros(2, 20, dtype=torch.double, requires_grad=True)
    weights = torch.randn(20, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    (spend(logits, costs, 0.3 * float(costs.sum()), 1.0) * weights).sum().backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad[0], logits.grad[1])


def test_a_step_along_the_gradient_does_not_change_the_spent_budget() -> None:
    logits, costs = setup(1)
    budget = 0.3 * float(costs.sum())
    weights = torch.randn(20, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    (spend(logits, costs, budget, 0.7) * weights).sum().backward()
    assert logits.grad is not None
    p = spend(logits, costs, budget, 0.7).detach()
    slope = p * (1 - p)
    # The gradient is orthogonal to the direction in which all logits rise together: that one only shifts b.
    assert float(logits.grad.sum()) == pytest.approx(0.0, abs=1e-9)
    assert float(slope.sum()) > 0
    moved = spend(logits.detach() + 0.5 * logits.grad, costs, budget, 0.7)
    assert spent(moved, costs) == pytest.approx(budget, rel=1e-10)


def test_an_unlimited_budget_at_temperature_one_is_the_papers_sigmoid() -> None:
    logits, costs = setup(2)
    assert torch.equal(spend(logits, costs, None, 1.0), torch.sigmoid(logits))


@pytest.mark.parametrize("budget", [0.0, 1e9])
def test_refuses_a_budget_that_nothing_or_everything_fits(budget: float) -> None:
    logits, costs = setup(1)
    with pytest.raises(ValueError, match="a budget must be between 0"):
        spend(logits, costs, budget, 1.0)
