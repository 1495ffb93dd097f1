"""What the searches that learn gates by gradient share: train, check, and fill the budget by the final scores."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.search.ablation import check_cut
from espalier_runtime.search.bilevel import BilevelGates
from espalier_runtime.search.problem import Found, GateHistory, SearchProblem
from espalier_runtime.structure.gates import Gates, KeptGates
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
    if problem.kept is not None:
        learning = KeptGates(problem.kept.gates().to(problem.backbone.device), gates)
    if spec.level == "bilevel":
        learning = BilevelGates(learning, model, problem.corpus, held_out, problem.training, problem.seed)
    done = problem.train(model, learning, spec.epochs, held_out)
    gates.history.check(name)
    scores = gates.scores().cpu()
    above_half = int((scores.amax(0) > 0.5).sum())
    structure = harden(scores, problem.space, problem.budget, problem.tasks, name)
    if spec.ablation is not None:
        scores = check_cut(problem, model, scores, structure, held_out, spec.ablation.candidates)
        structure = harden(scores, problem.space, problem.budget, problem.tasks, name)
    return Found(
        structure,
        model,
        gates.history,
        len(done.losses),
        done.step_ms,
        above_half,
        problem.space.candidates,
    )
