"""Dual LoRA: a path that all tasks share, and one of each task's own that is taken away.

    h' = h + s sum_u z_u (B_u A_u - B_u,t A_u,t) x        t: the row's task;  all B = 0 at init
    and to the loss   weight * mean_t |A A_t'|_F^2        A, A_t: the rows A_u, A_u,t of all units

so that what is common to the tasks and what sets each apart read different directions of x. The update of one task is
a LoRA of twice the units, and folds into the linear.

Source: arXiv 2506.24063, where the paths are a detector's domain-invariant and domain-specific ones. A task for a
domain, and orthogonality by the term above in place of its losses, are our reading. Cost of a unit:
(1 + tasks) * (inputs + outputs), of which a task uses 2 * (inputs + outputs).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from espalier_runtime import contract
from espalier_runtime.adapters.base import Chunks, unit_rows
from espalier_runtime.adapters.group import Residual, ResidualKind
from espalier_runtime.adapters.task_paths import shared_out
from espalier_runtime.backbone.sites import LINEAR_SLOTS, Site


@dataclass(frozen=True, kw_only=True)
class DualLoraKind(ResidualKind):
    """`orthogonality`: the weight of the term."""

    orthogonality: float

    def parameters(self, site: Site, size: int) -> int:
        return size * (1 + self.tasks) * (site.inputs + site.outputs)

    def of_others(self, site: Site, size: int) -> int:
        return size * (self.tasks - 1) * (site.inputs + site.outputs)

    def build(self, site: Site, chunks: Chunks, seed: int) -> DualLora:
        return DualLora(self, site, chunks, seed)


class DualLora(Residual):
    """down (R, 1 + tasks, inputs), up (R, 1 + tasks, outputs): the shared path first, then one a task."""

    unit_dimensions: ClassVar = {"down": 0, "up": 0}
    linear_in: ClassVar = ("up",)
    kind: DualLoraKind

    def __init__(self, kind: DualLoraKind, site: Site, chunks: Chunks, seed: int) -> None:
        super().__init__(kind, site, chunks)
        paths = 1 + kind.tasks
        rows = unit_rows(seed, site, kind.name, self.indices, paths, site.inputs)
        self.down = nn.Parameter(rows / math.sqrt(site.inputs))
        self.up = nn.Parameter(torch.zeros(len(self.indices), paths, site.outputs))

    def down_rows(self) -> Tensor:
        return self.down.flatten(0, 1)

    def inner(self, down: Tensor) -> Tensor:
        own = self.own_task(down)
        signs = torch.cat([torch.ones_like(own[..., :1]), -own], -1)
        return shared_out(down, signs, self.open_units(down))

    def up_rows(self) -> Tensor:
        return self.up.flatten(0, 1)

    def low_rank(self, units: Tensor, task: int) -> tuple[Tensor, Tensor, float]:
        paths = [0, 1 + task]
        down, up = self.down[units][:, paths].flatten(0, 1), self.up[units][:, paths]
        signs = torch.tensor([[1.0], [-1.0]]).to(up)
        return down, (signs * up).flatten(0, 1).t(), self.kind.scale

    def penalty(self) -> Tensor | None:
        if self.kind.orthogonality == 0:
            return None
        shared, own = self.down[:, 0], self.down[:, 1:]
        return self.kind.orthogonality * torch.einsum("ud,vtd->tuv", shared, own).square().sum() / self.kind.tasks


def dual_lora(spec: contract.DualLoraKind, tasks: int) -> DualLoraKind:
    """The kind that `spec` describes, for a number of tasks."""
    return DualLoraKind(
        name="dualLora",
        source="arXiv 2506.24063",
        equation="h + s (B A - B_t A_t) x, of task t",
        reads="input",
        slots=LINEAR_SLOTS,
        sizes=tuple(spec.ranks),
        mergeable=True,
        peft="lora",
        tasks=tasks,
        scale=spec.scale,
        orthogonality=spec.orthogonality,
    )
