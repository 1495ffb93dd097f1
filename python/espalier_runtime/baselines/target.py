"""What a method gives the fit: the adaptation, the gate values of its tasks, and what counts as its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from espalier_runtime.training.adaptation import Adaptation
from espalier_runtime.training.model import AdaptedModel


@dataclass(frozen=True)
class Target:
    """`rows` (tasks, columns): what each task opens, None for everything.

    `parameters`: trainable parameters that each task uses, heads not counted; `union`: those of all tasks together.
    `model`: how losses and steps are computed. `steps` and `step_ms` are of a training that came before the fit.
    """

    adapters: Adaptation
    rows: Tensor | None
    parameters: Mapping[str, int]
    union: int
    model: type[AdaptedModel] = AdaptedModel
    steps: int = 0
    step_ms: float | None = None


def for_all(adapters: Adaptation, tasks: tuple[str, ...]) -> Target:
    """One adaptation that all tasks share: every trainable parameter counts for each of them."""
    count = sum(weight.numel() for weight in adapters.parameters() if weight.requires_grad)
    return Target(adapters, None, dict.fromkeys(tasks, count), count)
