"""Gates under routes: how a search learns, beside each candidate's gate, which paths of a place each task takes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.search.problem import LearnedGates, SearchProblem
from espalier_runtime.structure.routing import Routes
from espalier_runtime.structure.schedule import geometric


def routed(
    problem: SearchProblem, gates: LearnedGates, spec: contract.BudgetedMethod | contract.PaperMethod
) -> LearnedGates:
    """`gates` under the routes that `spec.combine` asks for, or as they are where every path stands for itself."""
    if spec.combine == "gate":
        return gates
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


class RoutedGates:
    """pi * z of `inner` gates z; what a step teaches about a candidate goes to both. The history tells pi * p."""

    def __init__(
        self,
        inner: LearnedGates,
        routes: Routes,
        *,
        learning_rate: float,
        temperature: tuple[float, float],
        noise: bool,
        seed: int,
    ) -> None:
        """`temperature`: tau at the first and at the last step."""
        self.history = inner.history
        self._inner, self._routes, self._temperature, self._noise = inner, routes, temperature, noise
        self._optimiser = torch.optim.Adam(routes.parameters(), lr=learning_rate)
        self._generator = torch.Generator().manual_seed(seed)
        self._z, self._pi = torch.empty(0), torch.empty(0)

    def open(self, step: int, steps: int) -> Tensor:
        opened = self._inner.open(step, steps)
        assert opened is not None
        self._z = opened.detach()
        self._pi = self._routes(geometric(step, steps, *self._temperature), self._draw())
        self.history.weigh(step, self._pi)
        return self._pi.detach() * self._z

    def learn(self, gradient: Tensor) -> None:
        self._inner.learn(gradient * self._pi.detach())
        self._optimiser.zero_grad()
        self._pi.backward(gradient * self._z)  # type: ignore[no-untyped-call]
        self._optimiser.step()

    def scores(self) -> Tensor:
        """The inner gates' scores, each by its path's share."""
        return self.shares() * self._inner.scores()

    def shares(self) -> Tensor:
        """pi (tasks, candidates) as the search left it, without noise."""
        with torch.no_grad():
            shares: Tensor = self._routes(self._temperature[1])
            return shares

    def state_dict(self) -> dict[str, Any]:
        return {
            "inner": self._inner.state_dict(),
            "routes": self._routes.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "generator": self._generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._inner.load_state_dict(state["inner"])
        self._routes.load_state_dict(state["routes"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._generator.set_state(state["generator"])

    def _draw(self) -> Tensor | None:
        """One number a path for all tasks, as the candidates' gates are drawn."""
        if not self._noise:
            return None
        shape = (1, self._routes.logits.shape[1])
        return torch.rand(shape, generator=self._generator).clamp(1e-6, 1 - 1e-6).to(self._routes.logits.device)
