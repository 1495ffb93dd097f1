"""Budgeted stochastic gates:  z = straight-through Bernoulli(p),  p = spend(a, c, B(step), tau(step)).

Every step spends B(step) exactly (structure/budget.py); tau and B come down over the search. One uniform number u a
candidate decides for all tasks, z[t,i] = [u_i < p[t,i]], so that tasks with equal probabilities open the same gates and
the expected cost of the union is what the budget counts. The gradient passes the draw unchanged: dL/dp = dL/dz.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.errors import UNFORESEEN, TrialError
from espalier_runtime.search.learned import learn_structure
from espalier_runtime.search.logit_gates import LogitGates, Logits
from espalier_runtime.search.problem import Found, SearchProblem
from espalier_runtime.structure.budget import spend, spent
from espalier_runtime.structure.gates import GateLogits
from espalier_runtime.structure.priors import Priors
from espalier_runtime.structure.schedule import budget_at, geometric


class BudgetedGates(LogitGates):
    """Gates of the training loop. `budget` None is unlimited; with `noise` off z = p."""

    def __init__(
        self,
        tasks: int,
        costs: Tensor,
        budget: int | None,
        spec: contract.BudgetedMethod | contract.LearnableRankMethod | contract.TamsMethod,
        seed: int,
        start: Tensor | None = None,
        logits: Logits | None = None,
        priors: Priors | None = None,
    ) -> None:
        """`logits` default to one a task and candidate, which begins at `start` (tasks, candidates), or at zero."""
        super().__init__(logits or GateLogits(tasks, len(costs), start), costs.device, spec, priors)
        self._costs, self._budget, self._spec = costs, budget, spec
        self._generator = torch.Generator().manual_seed(seed)
        self._p = torch.empty(0)

    def open(self, step: int, steps: int) -> Tensor:
        first, last = self._spec.temperature
        self._p = self.probabilities(step, steps, geometric(step, steps, first, last))
        self.history.record(step, steps, self._p)
        if not self._spec.noise:
            return self._p
        draw = torch.rand(self._p.shape[1], generator=self._generator).to(self._p.device)
        return (draw < self._p).to(self._p.dtype)

    def learn(self, gradient: Tensor) -> None:
        self.follow(self._p, gradient)

    def scores(self) -> Tensor:
        """p (tasks, candidates) at the budget and temperature that the search ends with."""
        with torch.no_grad():
            return self.probabilities(1, 1, self._spec.temperature[1])

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "generator": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._generator.set_state(state["generator"])

    def probabilities(self, step: int, steps: int, temperature: float) -> Tensor:
        """p (tasks, candidates) of a step. Raises TrialError where they miss the budget."""
        if self._budget is None:
            return spend(self.logits(), self._costs, None, temperature)
        # The first gates are half open, as with the plain sigmoid.
        start = float(self._costs.sum()) / 2
        budget = budget_at(step, steps, start, self._budget, self._spec.budget_reached)
        p = spend(self.logits(), self._costs, budget, temperature)
        if abs(spent(p, self._costs) - budget) > 1e-4 * budget:
            raise TrialError(
                f"budgeted: step {step + 1} spends {spent(p, self._costs):g} of a budget of {budget:g}",
                mend=UNFORESEEN,
            )
        return p


def search_budgeted(problem: SearchProblem, spec: contract.BudgetedMethod, name: str) -> Found:
    """Trains all candidates under stochastic gates, then fills the budget by probability."""
    budget = None if problem.budget >= problem.space.parameters else problem.budget
    tasks, costs = len(problem.tasks), problem.costs()
    priors = Priors.of(spec.prior, tasks, problem.space.candidates, costs.device)
    gates = BudgetedGates(tasks, costs, budget, spec, problem.seed, problem.start, priors=priors)
    return learn_structure(problem, gates, spec, name)
