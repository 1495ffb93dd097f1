"""Gates under routes: the gate alone at one path, and no product more for another task."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from problems import budgeted, corpus, paper, paths, problem
from products import Products

from espalier_runtime.search.budgeted import BudgetedGates, search_budgeted
from espalier_runtime.search.paper import PaperGates, search_paper
from espalier_runtime.search.problem import GateHistory, SearchProblem
from espalier_runtime.search.routed import RoutedGates
from espalier_runtime.structure.routing import Combine, Routes
from espalier_runtime.structure.structure import Structure


def routes_of(given: SearchProblem, combine: Combine) -> Routes:
    return Routes(len(given.tasks), given.space.candidates, combine, seed=0)


@pytest.mark.parametrize("combine", ["softmax", "bernoulli"])
def test_with_one_path_every_combination_is_the_gate_exactly(combine: Combine) -> None:
    plain, routed = problem(), problem()
    gates = PaperGates(2, plain.costs(), paper(sparsity=1.0))
    losses = plain.train(plain.model(), gates, None).losses
    inner = PaperGates(2, routed.costs(), paper(sparsity=1.0))
    outer = RoutedGates(
        inner, routes_of(routed, combine), learning_rate=0.05, temperature=(1.0, 1.0), noise=True, seed=0
    )
    assert losses == routed.train(routed.model(), outer, None).losses
    assert torch.equal(gates.logits.shared, inner.logits.shared)
    assert torch.equal(gates.logits.delta, inner.logits.delta)
    assert bool((outer.shares() == 1).all())


def test_what_a_step_teaches_goes_to_gates_and_routes_as_the_chain_rule_says() -> None:
    given = problem(space=paths(2, slots=["mlp.up"], ranks=[4]))
    routes = routes_of(given, "softmax")
    torch.nn.init.normal_(routes.logits, generator=torch.Generator().manual_seed(2))
    z = torch.rand(2, 6, generator=torch.Generator().manual_seed(4))
    heard: list[torch.Tensor] = []

    class Inner:
        def __init__(self) -> None:
            self.history = GateHistory()

        def open(self, step: int, steps: int) -> torch.Tensor:
            self.history.record(step, steps, z)
            return z

        def learn(self, gradient: torch.Tensor) -> None:
            heard.append(gradient)

        def scores(self) -> torch.Tensor:
            return z

        def state_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            pass

    gates = RoutedGates(Inner(), routes, learning_rate=0.0, temperature=(1.0, 1.0), noise=False, seed=0)
    opened = gates.open(0, 1)
    gradient = torch.randn(2, 6, generator=torch.Generator().manual_seed(5))
    gates.learn(gradient)
    logits = routes.logits.detach().clone().requires_grad_()
    pi = torch.softmax(logits.view(2, 3, 2), dim=2).view(2, 6)
    torch.testing.assert_close(opened, (pi * z).detach())
    (pi * z).backward(gradient)
    torch.testing.assert_close(gates.history.values[0], opened)
    torch.testing.assert_close(gates.scores(), opened)
    torch.testing.assert_close(heard[0], gradient * pi.detach())
    torch.testing.assert_close(routes.logits.grad, logits.grad)


@pytest.mark.parametrize("combine", ["gate", "softmax", "bernoulli"])
@pytest.mark.parametrize("method", ["budgeted", "paper"])
def test_a_routed_search_keeps_the_budget_and_finds_the_same_again(method: str, combine: str) -> None:
    def found() -> Structure:
        given = problem(budget=1000, space=paths(2))
        if method == "budgeted":
            return search_budgeted(given, budgeted(combine=combine), "m").structure
        return search_paper(given, paper(0.1).model_copy(update={"combine": combine}), "m").structure

    first = found()
    assert first == found()
    assert 936 < first.union <= 1000
    for row in first.rows:
        by_place: dict[str, dict[int, float]] = {}
        for candidate, share in zip(first.candidates, row, strict=True):
            if share > 0:
                by_place.setdefault(candidate.site.name, {})[candidate.path] = share
        for shares in by_place.values():
            assert sum(shares.values()) == pytest.approx(1.0 if combine != "gate" else len(shares))


def test_routed_gates_that_are_continued_go_on_as_if_they_had_never_stopped() -> None:
    def fresh() -> RoutedGates:
        given = problem(space=paths(2))
        inner = BudgetedGates(2, given.costs(), 1000, budgeted(), seed=0)
        return RoutedGates(
            inner, routes_of(given, "bernoulli"), learning_rate=0.05, temperature=(1.0, 0.25), noise=True, seed=0
        )

    def step(gates: RoutedGates, at: int) -> torch.Tensor:
        opened = gates.open(at, 6)
        gates.learn(torch.randn(opened.shape, generator=torch.Generator().manual_seed(at)))
        return opened

    whole, first, second = fresh(), fresh(), fresh()
    expected = [step(whole, at) for at in range(6)]
    for at in range(3):
        step(first, at)
    second.load_state_dict(first.state_dict())
    assert all(torch.equal(step(second, at), expected[at]) for at in range(3, 6))
    assert torch.equal(second.shares(), whole.shares())


def products(tasks: int, count: int) -> int:
    """The products of a step through the adapted backbone, of a batch of 48 rows that mixes `tasks` tasks."""
    given = replace(problem(tasks=tasks, space=paths(count)), corpus=corpus(tasks, 48 // tasks))
    gates = RoutedGates(
        BudgetedGates(tasks, given.costs(), 4000, budgeted(), seed=0),
        routes_of(given, "softmax"),
        learning_rate=0.05,
        temperature=(1.0, 0.25),
        noise=False,
        seed=0,
    )
    model = given.model()
    with Products() as counted, model.adapters.attached(given.backbone.model):
        z = gates.open(0, 1).requires_grad_()
        model.pooled(given.corpus.batch(range(48)), z).sum().backward()
        assert z.grad is not None
        gates.learn(z.grad)
    return counted.count


def test_neither_another_task_nor_another_path_adds_a_product_to_a_mixed_step() -> None:
    first = products(tasks=2, count=1)
    assert first > 18 * 2  # two products a site, forward alone
    assert products(tasks=4, count=1) == first
    assert products(tasks=4, count=3) == first


def test_the_count_of_open_gates_is_of_the_gates_not_of_their_paths_shares() -> None:
    """With sparsity 0 and a rate of nearly nothing all gates stay at one half and a little, a path at a third."""
    given = problem(space=paths(3, slots=["mlp.up"], ranks=[4]))
    spec = paper(sparsity=0.0)
    found = search_paper(replace(given, start=torch.full((2, len(given.space.candidates)), 4.0)), spec, "paper")
    assert found.gates_above_half == len(given.space.candidates)
