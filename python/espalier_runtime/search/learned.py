"""What the searches that learn gates by gradient share: train, check, and fill the budget by the final scores."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.search.ablation import check_cut
from espalier_runtime.search.bilevel import BilevelGates
from espalier_runtime.search.problem import Found, GateHistory, SearchProblem
from espalier_runtime.structure.gates import Gates, KeptGates
from espalier_runtime.structure.routing import RoutedGates, Routes, harden_routes
from espalier_runtime.structure.structure import harden


class LearnedGates(Gates, Protocol):
    """Gates that say in the end how much each task wants each candidate."""

    history: GateHistory

    def scores(self) -> Tensor:
        """(tasks, candidates), between 0 and 1, comparable between tasks."""


def learn_structure(
    problem: SearchProblem, gates: LearnedGates, spec: contract.BudgetedMethod | contract.PaperMethod, name: str
) -> Found:
    """Trains every candidate of the space under `gates`, then fills the budget by their scores."""
    aside = spec.level == "bilevel" or spec.ablation is not None
    held_out = problem.held_out(spec.gate_fraction) if aside else []
    model = problem.model()
    learning: Gates = gates
    routed = _routed(problem, gates, spec)
    if routed is not None:
        learning = routed
    if problem.kept is not None:
        learning = KeptGates(problem.kept.gates().to(problem.backbone.device), learning)
    if spec.level == "bilevel":
        learning = BilevelGates(learning, model, problem.corpus, held_out, problem.training, problem.seed)
    done = problem.train(model, learning, spec.epochs, held_out)
    gates.history.check(name)
    scores = gates.scores().cpu()
    above_half = int((scores.amax(0) > 0.5).sum())
    shares = torch.ones_like(scores) if routed is None else routed.shares().cpu()
    scores = shares * scores
    structure = harden(scores, problem.space, problem.limits, problem.tasks, name)
    if spec.ablation is not None:
        scores = check_cut(problem, model, scores, shares, structure, held_out, spec.ablation.candidates)
        structure = harden(scores, problem.space, problem.limits, problem.tasks, name)
    return Found(
        harden_routes(structure, problem.space, shares) if routed is not None else structure,
        model,
        gates.history,
        len(done.losses),
        done.step_ms,
        above_half,
        problem.space.candidates,
    )


def _routed(
    problem: SearchProblem, gates: Gates, spec: contract.BudgetedMethod | contract.PaperMethod
) -> RoutedGates | None:
    """`gates` under the routes that `spec.combine` asks for; None where every path stands for itself."""
    if spec.combine == "gate":
        return None
    temperature, noise = (1.0, 1.0), True
    if isinstance(spec, contract.BudgetedMethod):
        temperature, noise = spec.temperature, spec.noise
    return RoutedGates(
        gates,
        Routes(len(problem.tasks), problem.space.candidates, spec.combine, problem.seed).to(problem.backbone.device),
        learning_rate=spec.gate_learning_rate,
        temperature=temperature,
        noise=spec.combine == "bernoulli" and noise,
        seed=problem.seed,
    )
