"""Importance: running sensitivity times running uncertainty of each candidate, after AdaLoRA (arXiv 2303.10512).

A candidate's residual is linear in W_up, so that  dL/dz = <W_up, dL/dW_up>:  the gate's gradient is the first-order
change of the loss if the candidate went, one number a task and candidate. With S = |dL/dz| of the step and decay b:

    I <- b I + (1 - b) S        U <- b U + (1 - b) |S - I|        score = I * U

The budget falls cubically; at each step the best candidates under it are open to all tasks, the others shut. A shut
gate still gets a gradient, so that a candidate can come back.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.search.learned import train_and_fill
from espalier_runtime.search.problem import Found, GateHistory, SearchProblem
from espalier_runtime.structure.costs import Parameters
from espalier_runtime.structure.limits import Limit, Limits
from espalier_runtime.structure.schedule import budget_at
from espalier_runtime.structure.space import Space


class ImportanceGates:
    """Gates of the training loop: 0 or 1, the same for all tasks; chosen on the CPU, whatever the model runs on."""

    def __init__(
        self,
        tasks: int,
        space: Space,
        budget: int,
        spec: contract.ImportanceMethod,
        device: torch.device | None = None,
    ) -> None:
        self.history = GateHistory(hard=True)
        self._space, self._budget, self._spec, self._device = space, budget, spec, device
        self._sensitivity = torch.zeros(tasks, len(space.candidates))
        self._uncertainty = torch.zeros(tasks, len(space.candidates))

    def scores(self) -> Tensor:
        """I * U (tasks, candidates), each task's scores summing to one so that tasks can be compared."""
        product = self._sensitivity * self._uncertainty
        return product / product.sum(1, keepdim=True).clamp_min(1e-30)

    def open(self, step: int, steps: int) -> Tensor:
        limit = budget_at(
            step, steps, self._space.parameters, self._budget, self._spec.budget_reached, self._spec.warmup
        )
        mask = torch.zeros_like(self._sensitivity)
        order = self.scores().amax(0).argsort(descending=True, stable=True).tolist()
        mask[:, Limits([Limit("parameters", Parameters(), limit)], self._space.candidates).fill(order)] = 1.0
        self.history.record(step, steps, mask)
        return mask.to(self._device)

    def learn(self, gradient: Tensor) -> None:
        decay = self._spec.smoothing
        now = gradient.abs().cpu()
        before = self.scores()
        self._sensitivity = decay * self._sensitivity + (1 - decay) * now
        self._uncertainty = decay * self._uncertainty + (1 - decay) * (now - self._sensitivity).abs()
        self.history.learned(gradient, before, self.scores())

    def state_dict(self) -> dict[str, Any]:
        return {
            "sensitivity": self._sensitivity,
            "uncertainty": self._uncertainty,
            "history": self.history.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._sensitivity, self._uncertainty = state["sensitivity"], state["uncertainty"]
        self.history.load_state_dict(state["history"])


def search_importance(problem: SearchProblem, spec: contract.ImportanceMethod, name: str) -> Found:
    """Trains all candidates under a falling budget, then fills it by score."""
    gates = ImportanceGates(len(problem.tasks), problem.space, problem.budget, spec, problem.backbone.device)
    return train_and_fill(problem, gates, spec.epochs, name, worth=lambda scores: scores.amax(0))
