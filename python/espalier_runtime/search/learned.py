"""What the searches that train under gates share: train, check, and fill the budget by the final scores."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.search.ablation import check_cut
from espalier_runtime.search.bilevel import BilevelGates
from espalier_runtime.search.problem import Found, LearnedGates, SearchProblem
from espalier_runtime.search.routed import RoutedGates, routed
from espalier_runtime.structure.gates import Gates, KeptGates
from espalier_runtime.structure.routing import harden_routes
from espalier_runtime.structure.structure import harden


def train_and_fill(
    problem: SearchProblem,
    gates: LearnedGates,
    epochs: float | None,
    name: str,
    worth: Callable[[Tensor], Tensor] | None = None,
) -> Found:
    """Trains every candidate of the space under `gates`, then fills the budget by their scores (tasks, candidates).

    `worth` says what the scores make a candidate worth to a fill, (candidates,), where that is not as in `harden`.
    """
    model = problem.model()
    done = problem.train(model, gates, epochs, history=gates.history)
    gates.history.check(name)
    scores = gates.scores().cpu()
    value = None if worth is None else worth(scores)
    structure = harden(scores, problem.space, problem.limits, problem.tasks, name, worth=value)
    return Found(structure, model, gates.history, len(done.losses), done.step_ms, searched=problem.space.candidates)


def learn_structure(
    problem: SearchProblem, gates: LearnedGates, spec: contract.BudgetedMethod | contract.PaperMethod, name: str
) -> Found:
    """Trains every candidate of the space under `gates`, then fills the budget by their scores."""
    aside = spec.level == "bilevel" or spec.ablation is not None
    held_out = problem.held_out(spec.gate_fraction) if aside else []
    model = problem.model()
    opening = gates
    gates = routed(problem, gates, spec)
    learning: Gates = gates
    if problem.kept is not None:
        learning = KeptGates(problem.kept.gates().to(problem.backbone.device), learning)
    if spec.level == "bilevel":
        learning = BilevelGates(learning, model, problem.corpus, held_out, problem.training, problem.seed, problem.warn)
    done = problem.train(model, learning, spec.epochs, held_out, history=gates.history)
    gates.history.check(name)
    soft = gates.scores()
    scores = soft.cpu()
    # Of the gates themselves: under a path's share even an open one would count as less.
    above_half = int((opening.scores().amax(0) > 0.5).sum())
    shares = gates.shares().cpu() if isinstance(gates, RoutedGates) else torch.ones_like(scores)
    structure = harden(scores, problem.space, problem.limits, problem.tasks, name)
    if spec.ablation is not None:
        scores = check_cut(problem, model, scores, shares, structure, held_out, spec.ablation.candidates)
        structure = harden(scores, problem.space, problem.limits, problem.tasks, name)
    return Found(
        harden_routes(structure, problem.space, shares) if isinstance(gates, RoutedGates) else structure,
        model,
        gates.history,
        len(done.losses),
        done.step_ms,
        above_half,
        problem.space.candidates,
        soft=soft if problem.kept is None else torch.cat([problem.kept.gates().to(soft), soft], dim=1),
        under_soft=isinstance(spec, contract.PaperMethod) or not spec.noise,
    )
