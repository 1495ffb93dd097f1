"""Gates: the learnable logit of every candidate, one row a task, and what a step opens."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn


class Gates(Protocol):
    """What the training loop asks of a search or of a fixed structure."""

    def open(self, step: int, steps: int) -> Tensor | None:
        """The gate values z (tasks, candidates) of this step; None where all are open and none is learned."""

    def learn(self, gradient: Tensor) -> None:
        """Takes dL/dz (tasks, candidates) of the step that `open` began."""


class FixedGates:
    """The rows of a structure: a task opens its own candidates. Nothing is learned."""

    def __init__(self, rows: Tensor) -> None:
        """`rows` (tasks, candidates) of bool."""
        self._values = None if bool(rows.all()) else rows.float()

    def open(self, step: int, steps: int) -> Tensor | None:  # noqa: ARG002
        return self._values

    def learn(self, gradient: Tensor) -> None:
        """Nothing."""


class GateLogits(nn.Module):
    """a[t,i] = shared[i] + delta[t,i]; both start at zero."""

    def __init__(self, tasks: int, candidates: int) -> None:
        super().__init__()
        self.shared = nn.Parameter(torch.zeros(candidates))
        self.delta = nn.Parameter(torch.zeros(tasks, candidates))

    def forward(self) -> Tensor:
        """(tasks, candidates)."""
        return self.shared + self.delta

    def optimiser(self, learning_rate: float, task_learning_rate: float) -> torch.optim.Optimizer:
        """Adam with a rate for what tasks share and a smaller one for what sets them apart.

        Adam's step does not shrink with the gradient, so at one rate the noise of a task's own gradient would pull the
        rows apart as fast as evidence pulls candidates up.
        """
        shared = {"params": [self.shared], "lr": learning_rate}
        return torch.optim.Adam([shared, {"params": [self.delta], "lr": task_learning_rate}])
