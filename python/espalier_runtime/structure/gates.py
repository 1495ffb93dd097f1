"""Gates: the learnable logit of every candidate, one row a task, and what a step opens."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Gates(Protocol):
    """What the training loop asks of a search or of a fixed structure.

    A search that is continued must go on as if it had never stopped: between two steps, `state_dict` gives all that
    later steps depend on (logits, their optimiser, generators, the history), and `load_state_dict` takes it back. The
    values may nest as those of `training/checkpoint.py`.
    """

    def open(self, step: int, steps: int) -> Tensor | None:
        """The gate values z (tasks, candidates) of this step; None where all are open and none is learned."""

    def learn(self, gradient: Tensor) -> None:
        """Takes dL/dz (tasks, candidates) of the step that `open` began."""

    def state_dict(self) -> dict[str, Any]:
        """What the gates of the next steps depend on."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Becomes what `state_dict` described."""


class FixedGates:
    """The rows of a structure: a task opens its own candidates. Nothing is learned."""

    def __init__(self, rows: Tensor | None) -> None:
        """`rows` (tasks, candidates); None for all open."""
        self._values = None if rows is None or bool((rows == 1).all()) else rows.float()

    def open(self, step: int, steps: int) -> Tensor | None:  # noqa: ARG002
        return self._values

    def learn(self, gradient: Tensor) -> None:
        """Nothing."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the rows are given."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing."""


class KeptGates:
    """Candidates whose rows are settled, before those that `inner` still learns."""

    def __init__(self, rows: Tensor, inner: Gates) -> None:
        """`rows` (tasks, kept candidates)."""
        self._rows, self._inner = rows, inner

    def open(self, step: int, steps: int) -> Tensor | None:
        inner = self._inner.open(step, steps)
        assert inner is not None
        return torch.cat([self._rows, inner], dim=1)

    def learn(self, gradient: Tensor) -> None:
        self._inner.learn(gradient[:, self._rows.shape[1] :])

    def state_dict(self) -> dict[str, Any]:
        """That of the inner gates: the rows are given."""
        return self._inner.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._inner.load_state_dict(state)


class GateLogits(nn.Module):
    """a[t,i] = shared[i] + delta[t,i]; a starts at zero, or where `start` (tasks, candidates) says."""

    def __init__(self, tasks: int, candidates: int, start: Tensor | None = None) -> None:
        super().__init__()
        first = torch.zeros(tasks, candidates) if start is None else start.float()
        self.shared = nn.Parameter(first.amax(0))
        self.delta = nn.Parameter(first - first.amax(0))

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
