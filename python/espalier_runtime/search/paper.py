"""The gate of Structure-Learnable Adapter Fine-Tuning (arXiv 2509.03057):  z = sigmoid(a),  loss L_task + lambda Omega.

h' = z Adapter(h) + (1 - z) h = h + z D(h). Omega is the cost-weighted mean of the gates over candidates and tasks: with
a plain sum, lambda = 1 would shut every gate. W_up can take up 1/z, so lambda sets no budget and few gates end above
0.5; the structure takes the candidates in the order of a, up to the budget. A fit that continues takes z W_up for W_up,
which is what the search trained.
"""

from __future__ import annotations

import torch
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.search.learned import learn_structure
from espalier_runtime.search.logit_gates import LogitGates
from espalier_runtime.search.problem import Found, SearchProblem
from espalier_runtime.structure.gates import GateLogits
from espalier_runtime.structure.priors import Priors


class PaperGates(LogitGates):
    """Gates of the training loop: deterministic, never budgeted."""

    def __init__(
        self,
        tasks: int,
        costs: Tensor,
        spec: contract.PaperMethod,
        start: Tensor | None = None,
        priors: Priors | None = None,
    ) -> None:
        super().__init__(GateLogits(tasks, len(costs), start), costs.device, spec, priors)
        self._weights = costs / costs.sum() / tasks
        self._spec = spec
        self._z = torch.empty(0)

    def open(self, step: int, steps: int) -> Tensor:
        self._z = torch.sigmoid(self.logits())
        self.history.record(step, steps, self._z)
        return self._z

    def learn(self, gradient: Tensor) -> None:
        # dOmega/dz[t,i] = c_i / (sum c * tasks)
        self.follow(self._z, gradient, self._spec.sparsity * self._weights)

    def scores(self) -> Tensor:
        """z (tasks, candidates) as the search left it."""
        return torch.sigmoid(self.logits()).detach()


def search_paper(problem: SearchProblem, spec: contract.PaperMethod, name: str) -> Found:
    """Trains all candidates under sigmoid gates with the sparsity term, then fills the budget by gate."""
    tasks, costs = len(problem.tasks), problem.costs()
    priors = Priors.of(spec.prior, tasks, problem.space.candidates, costs.device)
    gates = PaperGates(tasks, costs, spec, problem.start, priors)
    return learn_structure(problem, gates, spec, name)
