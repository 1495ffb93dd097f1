"""What priors do to the searches that learn gates: nothing at strength zero, and at more what they are for."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from problems import budgeted, paper, problem
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.search.budgeted import BudgetedGates, search_budgeted
from espalier_runtime.search.logit_gates import LogitGates
from espalier_runtime.search.paper import PaperGates, search_paper
from espalier_runtime.search.problem import SearchProblem
from espalier_runtime.structure.priors import DepthGraph, Priors


def gates(given: SearchProblem, method: str, prior: dict[str, float] | None) -> LogitGates:
    spec = None if prior is None else contract.Prior.model_validate(prior)
    priors = Priors.of(spec, 2, given.space.candidates, torch.device("cpu"))
    if method == "paper":
        return PaperGates(2, given.costs(), paper(1.0), priors=priors)
    return BudgetedGates(2, given.costs(), 1000, budgeted(), seed=0, priors=priors)


def searched(method: str, prior: dict[str, float] | None) -> tuple[Any, Tensor]:
    given = problem()
    learned: Any = gates(given, method, prior)
    losses = given.train(given.model(), learned, None).losses
    return losses, learned.logits().detach()


@pytest.mark.parametrize("method", ["budgeted", "paper"])
def test_a_prior_of_no_strength_changes_no_bit(method: str) -> None:
    losses, logits = searched(method, None)
    same, others = searched(method, {"tasks": 0.0, "depth": 0.0, "filter": 0.0})
    assert losses == same
    assert torch.equal(logits, others)


def learned(gradient: Tensor, method: str, prior: dict[str, float] | None) -> Tensor:
    """The logits after 60 steps down one gradient (tasks, candidates)."""
    found: Any = gates(problem(), method, prior)
    for step in range(60):
        found.open(step, 60)
        found.learn(gradient)
    logits: Tensor = found.logits().detach()
    return logits


@pytest.mark.parametrize("method", ["budgeted", "paper"])
def test_tasks_whose_gradients_agree_end_with_rows_that_differ_less(method: str) -> None:
    alike = torch.ones(2, len(problem().space.candidates))
    alike[1, ::4] = -1
    free, drawn = (learned(alike, method, prior) for prior in (None, {"tasks": 10.0}))
    assert float((drawn[0] - drawn[1]).norm()) < 0.3 * float((free[0] - free[1]).norm())


@pytest.mark.parametrize("method", ["budgeted", "paper"])
def test_tasks_whose_gradients_disagree_are_left_alone(method: str) -> None:
    opposed = torch.ones(2, len(problem().space.candidates))
    opposed[1] = -1
    free, prior = (learned(opposed, method, prior) for prior in (None, {"tasks": 10.0}))
    assert torch.equal(free, prior)


@pytest.mark.parametrize("prior", [{"depth": 100.0}, {"filter": 100.0}])
def test_logits_end_smoother_along_depth(prior: dict[str, float]) -> None:
    graph = DepthGraph(problem().space.candidates, torch.device("cpu"))
    _, free = searched("budgeted", None)
    _, smooth = searched("budgeted", prior)
    # Relative to how far the logits have gone at all.
    roughness = [float(graph.energy(logits) / logits.square().sum()) for logits in (free, smooth)]
    assert roughness[1] < 0.5 * roughness[0]


def test_what_tasks_were_related_by_is_part_of_the_state() -> None:
    given = problem()
    first, second = (gates(given, "budgeted", {"tasks": 1.0}) for _ in range(2))
    generator = torch.Generator().manual_seed(2)
    draws = [torch.randn(2, len(given.space.candidates), generator=generator) for _ in range(4)]

    def learn(found: Any, steps: range) -> None:
        for step in steps:
            found.open(step, 4)
            found.learn(draws[step])

    learn(first, range(2))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    learn(first, range(2, 4))
    learn(second, range(2, 4))
    assert torch.equal(first.logits(), second.logits())


def test_a_search_takes_the_priors_of_its_method() -> None:
    given = problem()
    spec = budgeted(prior={"tasks": 0.0, "depth": 100.0, "filter": 0.0})
    found, free = search_budgeted(given, spec, "smooth"), search_budgeted(problem(), budgeted(), "free")
    assert found.history is not None
    assert free.history is not None
    graph = DepthGraph(given.space.candidates, torch.device("cpu"))
    assert float(graph.energy(found.history.values[-1])) < 0.5 * float(graph.energy(free.history.values[-1]))


def test_the_papers_search_takes_them_too() -> None:
    smooth = paper(1.0).model_copy(update={"prior": contract.Prior(depth=100.0)})
    found, free = search_paper(problem(), smooth, "smooth"), search_paper(problem(), paper(1.0), "free")
    assert found.history is not None
    assert free.history is not None
    assert not torch.equal(found.history.values[-1], free.history.values[-1])
