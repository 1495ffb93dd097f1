"""Task-adaptive structures: a controller makes each task's gates from an embedding of the task (search/controller.py).

The controller is trained through budgeted gates, over all tasks at once, in place of a row of logits a task. That of an
earlier trial proposes, for tasks it has not seen, the structure that spends the budget by the logits it gives them.

After TAMS of Hou, Salazar and Polovets, arXiv 2207.03509, whose controller chooses a sublayer's structure for a task
and is meta-learned. Gates over candidates, this embedding, and one level of training instead of two are our reading.
"""

from __future__ import annotations

from pathlib import Path

import torch

from espalier_runtime import contract
from espalier_runtime.search.budgeted import BudgetedGates
from espalier_runtime.search.controller import Controller, embeddings, read_controller, restored
from espalier_runtime.search.learned import train_and_fill
from espalier_runtime.search.problem import Found, SearchProblem
from espalier_runtime.structure.budget import spend
from espalier_runtime.structure.structure import harden


def search_tams(problem: SearchProblem, spec: contract.TamsMethod, name: str) -> Found:
    """The structure of a controller that is trained here, or of an earlier one."""
    budget = None if problem.budget >= problem.space.parameters else problem.budget
    given = embeddings(problem)
    if spec.controller is not None:
        ids = [candidate.id for candidate in problem.space.candidates]
        weights = read_controller(Path(spec.controller), ids, problem.backbone.fingerprint, name)
        controller = restored(weights, given.cpu())
        with torch.no_grad():
            logits = controller.to(problem.backbone.device)()
            scores = spend(logits, problem.costs(), budget, spec.temperature[1]).cpu()
        return Found(harden(scores, problem.space, problem.limits, problem.tasks, name))
    controller = Controller(given, len(problem.space.candidates), spec.width, problem.seed)
    gates = BudgetedGates(len(problem.tasks), problem.costs(), budget, spec, problem.seed, logits=controller)
    found = train_and_fill(problem, gates, spec.epochs, name)
    found.controller = controller
    return found
