"""What gates over logits share: the logits, how they follow a gradient, and what a checkpoint keeps of them."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.search.problem import GateHistory
from espalier_runtime.structure.priors import Priors

#: The methods of such gates.
Spec = contract.BudgetedMethod | contract.PaperMethod | contract.LearnableRankMethod | contract.TamsMethod


class Logits(Protocol):
    """A module that gives the logits, (tasks, candidates), and an optimiser of what it makes them from.

    It has a rate for what tasks share, and one for what sets them apart.
    """

    def __call__(self) -> Tensor: ...

    def to(self, device: torch.device) -> Logits: ...

    def optimiser(self, learning_rate: float, task_learning_rate: float) -> torch.optim.Optimizer: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> object: ...


class LogitGates:
    """A search's gates are values of its `logits`; `history` tells what they were."""

    def __init__(self, logits: Logits, device: torch.device, spec: Spec, priors: Priors | None = None) -> None:
        self.logits = logits.to(device)
        self.history = GateHistory()
        self._optimiser = self.logits.optimiser(spec.gate_learning_rate, spec.task_gate_learning_rate)
        self._priors = priors

    def follow(self, values: Tensor, gradient: Tensor, penalty: Tensor | float = 0.0) -> None:
        """One step of the logits down dL/dvalues = `gradient`; the history leaves `penalty` and the priors out."""
        self._optimiser.zero_grad()
        values.backward(gradient + penalty)  # type: ignore[no-untyped-call]
        if self._priors is not None:
            self._priors.weigh(gradient, self.logits(), self._optimiser)
        before = self._now()
        self._optimiser.step()
        self.history.learned(gradient, before, self._now())

    @torch.no_grad()
    def _now(self) -> Tensor:
        return self.logits().clone()

    def state_dict(self) -> dict[str, Any]:
        return {
            "logits": self.logits.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "history": self.history.state_dict(),
            "priors": {} if self._priors is None else self._priors.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.logits.load_state_dict(state["logits"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.history.load_state_dict(state["history"])
        if self._priors is not None:
            self._priors.load_state_dict(state["priors"])
