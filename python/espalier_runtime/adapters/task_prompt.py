"""Task prompt: each task has prompt vectors of its own in every layer, which the tokens attend to beside each other.

    k_u = W_k p_u,t,   v_u = W_v p_u,t        t: the row's task;  attended to with the mass s z_u theta_u,t

with the layer's own frozen projections (and its norm of keys, where it has one), as if p_u,t stood among the tokens
that enter the attention; what would come out at the prompts is dropped, so that only their keys and values count. The
masses are those of `prefix`: theta = 0 at init, and a mass of 1 is a prompt among the tokens. A prompt has no position.

Source: Lu et al., Prompt Guided Transformer, arXiv 2307.15362, whose prompts guide the windows of a vision backbone
that is trained too; prompts of a frozen language model's layers are our reading. Cost of a unit:
tasks * (width of what enters the attention + 1), of which a task uses its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from espalier_runtime import contract
from espalier_runtime.adapters.base import Adapter, AdapterKind, Chunks, Hook, unit_rows
from espalier_runtime.adapters.prefix import NEEDS, gives
from espalier_runtime.backbone.beside import Extra, Rows
from espalier_runtime.backbone.sites import Site


@dataclass(frozen=True, kw_only=True)
class TaskPromptKind(AdapterKind):
    """s = `scale`."""

    scale: float

    def parameters(self, site: Site, size: int) -> int:
        return size * self.tasks * (site.beside["attention.key"].inputs + 1)

    def of_others(self, site: Site, size: int) -> int:
        return self.parameters(site, size) // self.tasks * (self.tasks - 1)

    def build(self, site: Site, chunks: Chunks, seed: int) -> TaskPrompt:
        return TaskPrompt(self, site, chunks, seed)

    def applies(self, slots: Sequence[str], site: Site) -> bool:
        return super().applies(slots, site) and gives(site)


class TaskPrompt(Adapter):
    """prompts (R, tasks, inputs), mass theta (R, tasks)."""

    unit_dimensions: ClassVar = {"prompts": 0, "mass": 0}
    linear_in: ClassVar = ("mass",)
    kind: TaskPromptKind

    def __init__(self, kind: TaskPromptKind, site: Site, chunks: Chunks, seed: int) -> None:
        super().__init__(kind, site, chunks)
        inputs, units = site.beside["attention.key"].inputs, len(self.indices)
        # Of the size that normed states have.
        rows = unit_rows(seed, site, kind.name, self.indices, kind.tasks, inputs)
        self.prompts = nn.Parameter(rows * math.sqrt(3))
        self.mass = nn.Parameter(torch.zeros(units, kind.tasks))

    def hooks(self) -> list[Hook]:
        return [Hook(self.site, beside=self.give)]

    def give(self, attention: nn.Module, rows: Rows) -> Extra:
        """Keys and values (rows or 1, key heads, R, width) and masses (rows or 1, R), of each row's task."""
        if self.task is None:
            prompts, mass = self.prompts[:, 0].unsqueeze(0), self.mass[:, 0].unsqueeze(0)
        else:
            own = rows.of(self.task.to(self.mass.dtype))
            prompts = torch.einsum("bt,utd->bud", own, self.prompts)
            mass = own @ self.mass.t()
        keys, values = (self._projected(attention, slot, prompts) for slot in ("attention.key", "attention.value"))
        norm = getattr(attention, "k_norm", None)
        gates = None if self.gates is None else rows.of(self.gates.to(mass.dtype))
        return Extra.of(keys if norm is None else norm(keys), values, self.kind.scale * mass, gates)

    def _projected(self, attention: nn.Module, slot: str, prompts: Tensor) -> Tensor:
        """(rows, heads, R, width) that the frozen projection of the slot makes of `prompts` (rows, R, inputs)."""
        site = self.site.beside[slot]
        projection = attention.get_submodule(site.module.rpartition(".")[2])
        # The class's own forward, whatever is attached, and however the weight is stored.
        made = site.take(type(projection).forward(projection, prompts))
        return made.view(*made.shape[:-1], site.heads, -1).transpose(1, 2)


def task_prompt(spec: contract.TaskPromptKind, tasks: int) -> TaskPromptKind:
    """The kind that `spec` describes, for a number of tasks."""
    return TaskPromptKind(
        name="taskPrompt",
        source="arXiv 2307.15362",
        equation="softmax(q [W_k p_t, K]') [W_v p_t, V], prompts p_t of task t",
        slots=("attention",),
        sizes=tuple(spec.tokens),
        couples=True,
        needs=NEEDS,
        tasks=tasks,
        scale=spec.scale,
    )
