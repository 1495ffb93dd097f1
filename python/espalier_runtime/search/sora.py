"""SoRA's proximal gates (Ding et al., arXiv 2311.11696), with thresholds that meet a budget.

h' = h + s W_up (g . f(W_down v)), a gate g a candidate. After each step of the gates down dL/dg they are shrunk,

    g <- max(g - xi, 0)

the proximal step of xi |g|. SoRA chooses xi, and gets whatever sparsity that gives; here xi is at each step the least
that leaves open gates of cost B(step) at most, which falls cubically to the budget. A gate at zero still gets its
gradient, so that it can come back. Gates start at 1 and stay at zero or above: W_up can take up a sign.

At the end the open gates rank by g; candidates that no task has open by the step at which they last were, below them.
A task at zero where another is open does without the candidate.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.search.learned import train_and_fill
from espalier_runtime.search.problem import Found, GateHistory, SearchProblem
from espalier_runtime.structure.schedule import budget_at


class ProximalGates:
    """Gates of the training loop, (tasks, candidates), at zero or above."""

    def __init__(self, tasks: int, costs: Tensor, budget: int, spec: contract.SoraMethod) -> None:
        """`costs` (candidates,) in parameters."""
        self.history = GateHistory(hard=True)
        self._costs, self._budget, self._spec = costs, budget, spec
        self._gates = torch.ones(tasks, len(costs), device=costs.device, requires_grad=True)
        self._last_open = torch.zeros(tasks, len(costs), dtype=torch.float64, device=costs.device)
        self._optimiser = torch.optim.Adam([self._gates], lr=spec.gate_learning_rate)
        self._step, self._steps = 0, 1

    def open(self, step: int, steps: int) -> Tensor:
        self._step, self._steps = step, steps
        return self._gates.detach()

    def learn(self, gradient: Tensor) -> None:
        self._last_open[self._gates.detach() > 0] = (self._step + 1) / self._steps
        self._gates.grad = gradient.to(self._gates.dtype)
        before = self._gates.detach().clone()
        self._optimiser.step()
        self.history.learned(gradient, before, self._gates.detach())
        spec, step, steps = self._spec, self._step + 1, self._steps
        whole = float(self._costs.sum())
        limit = budget_at(step, steps, whole, min(whole, self._budget), spec.budget_reached, spec.warmup)
        with torch.no_grad():
            tops = self._gates.amax(0)
            # While W_up is zero all gates are alike, and whatever shuts one shuts all.
            if bool((tops != tops[0]).any()):
                self._gates.copy_((self._gates - threshold(tops, self._costs, limit)).clamp_min(0))
        self.history.record(self._step, steps, (self._gates.detach() > 0).float())

    def scores(self) -> Tensor:
        """(tasks, candidates) between 0 and 1: above 1/2 by how far a gate is open, below by when it last was.

        0 where another task's gate is open.
        """
        gates = self._gates.detach().double()
        is_open = gates > 0
        closed = 0.5 * self._last_open * ~is_open.any(0)
        return torch.where(is_open, 0.5 + 0.5 * gates / (1 + gates), closed).float()

    def spent(self) -> float:
        """Parameters of the candidates that a task has open."""
        return float(self._costs[(self._gates.detach() > 0).any(0)].sum())

    def state_dict(self) -> dict[str, Any]:
        return {
            "gates": self._gates.detach(),
            "last_open": self._last_open,
            "optimiser": self._optimiser.state_dict(),
            "history": self.history.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            self._gates.copy_(state["gates"])
        self._last_open.copy_(state["last_open"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.history.load_state_dict(state["history"])


def threshold(tops: Tensor, costs: Tensor, limit: float) -> float:
    """The least xi >= 0 for which the candidates whose `tops` (candidates,) are above it cost `limit` at most."""
    order = tops.argsort(descending=True, stable=True)
    total = costs[order].cumsum(0)
    beyond = (total > limit * (1 + 1e-6)).nonzero()
    return 0.0 if len(beyond) == 0 else max(0.0, float(tops[order[int(beyond[0])]]))


def search_sora(problem: SearchProblem, spec: contract.SoraMethod, name: str) -> Found:
    """Trains all candidates under shrinking gates, then fills the budget by what stayed open longest."""
    gates = ProximalGates(len(problem.tasks), problem.costs(), problem.budget, spec)
    return train_and_fill(problem, gates, spec.epochs, name)
