"""Generated LoRA: a small hyper-network makes a task's low-rank update from the task's embedding.

    h' = h + s sum_u z_u b_u,t a_u,t' x        [a_u,t; b_u,t] = G_u e_u,t        the half of G that makes b: 0 at init

e_u,t is the embedding of task t, k learned numbers, and G_u a linear map of it. As many embeddings as tasks share one
G: with fewer numbers than tasks, the tasks must share what they learn, and a new task needs k numbers a unit.

Source: arXiv 2506.24063 generates adapters from the condition of the environment, by diffusion; a deterministic
linear map of a learned embedding is our reading. A hidden layer would add nothing for embeddings that are themselves
free. Each unit has its own map and embeddings, so that it can be chosen alone. Cost of a unit:
k * (inputs + outputs + tasks), of which k * (tasks - 1) are other tasks' own.
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
class GeneratedKind(ResidualKind):
    """k = `embedding`."""

    embedding: int

    def parameters(self, site: Site, size: int) -> int:
        return size * self.embedding * (site.inputs + site.outputs + self.tasks)

    def of_others(self, site: Site, size: int) -> int:  # noqa: ARG002
        return size * self.embedding * (self.tasks - 1)

    def build(self, site: Site, chunks: Chunks, seed: int) -> Generated:
        return Generated(self, site, chunks, seed)


class Generated(Residual):
    """code e (R, tasks, k), and of G: down (R, k, inputs), up (R, k, outputs)."""

    unit_dimensions: ClassVar = {"code": 0, "down": 0, "up": 0}
    linear_in: ClassVar = ("up",)
    kind: GeneratedKind

    def __init__(self, kind: GeneratedKind, site: Site, chunks: Chunks, seed: int) -> None:
        super().__init__(kind, site, chunks)
        numbers = kind.embedding
        # Rows of G and embeddings of this size make rows as large as a LoRA's at its start.
        code = unit_rows(seed, site, f"{kind.name} code", self.indices, kind.tasks, numbers)
        self.code = nn.Parameter(code * math.sqrt(3 / numbers))
        down = unit_rows(seed, site, kind.name, self.indices, numbers, site.inputs)
        self.down = nn.Parameter(down / math.sqrt(site.inputs))
        self.up = nn.Parameter(torch.zeros(len(self.indices), numbers, site.outputs))

    def down_rows(self) -> Tensor:
        return (self.code @ self.down).flatten(0, 1)

    def inner(self, down: Tensor) -> Tensor:
        return shared_out(down, self.own_task(down), self.open_units(down))

    def up_rows(self) -> Tensor:
        return (self.code @ self.up).flatten(0, 1)

    def low_rank(self, units: Tensor, task: int) -> tuple[Tensor, Tensor, float]:
        code = self.code[units, task].unsqueeze(1)
        down, up = code @ self.down[units], code @ self.up[units]
        return down.squeeze(1), up.squeeze(1).t(), self.kind.scale


def generated(spec: contract.GeneratedKind, tasks: int) -> GeneratedKind:
    """The kind that `spec` describes, for a number of tasks."""
    return GeneratedKind(
        name="generated",
        source="arXiv 2506.24063",
        equation="h + s b_t a_t' x, [a_t; b_t] = G e_t, e_t the embedding of task t",
        reads="input",
        slots=LINEAR_SLOTS,
        sizes=tuple(spec.ranks),
        mergeable=True,
        peft="lora",
        tasks=tasks,
        scale=spec.scale,
        embedding=spec.embedding,
    )
