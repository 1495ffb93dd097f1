"""AdapterFusion (Pfeiffer et al., arXiv 2005.00247) on our bottlenecks.

First each task fits a bottleneck D_n of its own after the MLP of every layer. Then these are frozen, and each task t
learns at each layer an attention over all of them, from the sub-block's output h:

    a_n = softmax_n( (Q_t h) . (K_t (h + D_n(h))) )        h' = sum_n a_n (h + D_n(h)) = h + sum_n a_n D_n(h)

The values are the bottlenecks' outputs themselves, where the original starts its value matrix; Q and K have `width`
rows, since square ones alone are 9.5 % of RoBERTa-base a task, above the 2.0 % that arXiv 2509.03057 gives the method.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from espalier_runtime.adapters.attach import attached
from espalier_runtime.adapters.base import AdapterKind, Hook
from espalier_runtime.adapters.projections import Projections
from espalier_runtime.backbone.layout import Layout
from espalier_runtime.backbone.sites import Site
from espalier_runtime.search.problem import SearchProblem
from espalier_runtime.structure.gates import FixedGates
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import Candidate
from espalier_runtime.structure.structure import Structure
from espalier_runtime.training.loop import TrainReport
from espalier_runtime.training.model import AdaptedModel


def bottleneck_a_task(
    sites: Sequence[Site], kind: AdapterKind, size: int, tasks: Sequence[str], method: str
) -> Structure:
    """The structure of the first stage: after the MLP of every layer, for each task `size` units of its own."""
    candidates, owners = [], []
    for site in sites:
        if site.slot == "mlp":
            for task in range(len(tasks)):
                candidates.append(Candidate.of(kind, site, task * size, size, task))
                owners.append(task)
    rows = tuple(tuple(owner == task for owner in owners) for task in range(len(tasks)))
    return Structure(
        method=method,
        tasks=tuple(tasks),
        budget=sum(candidate.parameters for candidate in candidates),
        candidates=tuple(candidates),
        rows=rows,
        scores=tuple(tuple(float(used) for used in row) for row in rows),
    )


def fit_bottlenecks(problem: SearchProblem, pool: AdapterPool, structure: Structure) -> TrainReport:
    """The first stage: every task trains its own bottlenecks and head, in the same mixed batches."""
    model = AdaptedModel(problem.backbone, pool, problem.new_heads(), problem.training.pooling, problem.execution)
    rows = structure.gates().to(problem.backbone.device)
    return problem.train(model.to(problem.backbone.device), FixedGates(rows), None)


class FusedSite(nn.Module):
    """The attention of one layer; `tasks` are the batch's task ids, (batch,)."""

    reads: Literal["output"] = "output"
    tasks: Tensor
    down: Tensor
    up: Tensor

    def __init__(self, group: Projections, tasks: int, width: int, seed: int) -> None:
        super().__init__()
        self.site, self.kind, self._tasks = group.site, group.kind, tasks
        hidden = group.site.outputs
        self.register_buffer("down", group.down.detach().clone())
        self.register_buffer("up", group.up.detach().clone())
        generator = torch.Generator().manual_seed(seed * 1000 + group.site.layer)
        # As PyTorch starts a linear; with keys this small the mixture starts almost even.
        start = torch.rand(2, tasks, width, hidden, generator=generator).mul_(2).sub_(1).div_(hidden**0.5)
        self.query, self.key = nn.Parameter(start[0].clone()), nn.Parameter(start[1].clone())

    def hooks(self) -> list[Hook]:
        return [Hook(self.site, after=self)]

    def forward(self, _: Tensor, h: Tensor) -> Tensor:
        """h' (batch, seq, hidden)."""
        inner = self.kind.inner(h @ self.down.t()).view(*h.shape[:2], self._tasks, -1)
        added = self.kind.scale * torch.einsum("bsnr,dnr->bsnd", inner, self.up.view(len(self.up), self._tasks, -1))
        query = torch.einsum("bsd,bwd->bsw", h, self.query[self.tasks])
        key = torch.einsum("bsnd,bwd->bsnw", h.unsqueeze(2) + added, self.key[self.tasks])
        shares = torch.einsum("bsw,bsnw->bsn", query, key).softmax(-1)
        return h + torch.einsum("bsn,bsnd->bsd", shares, added)


class AdapterFusion(nn.Module):
    """All layers' fusions; the gates of a batch are rows of an identity that say each row's task."""

    packs = False  # the attention takes a row of the batch at a time

    def __init__(self, bottlenecks: AdapterPool, tasks: int, width: int, seed: int) -> None:
        super().__init__()
        self.lowest_layer = bottlenecks.lowest_layer
        groups = (group for group in bottlenecks.members() if isinstance(group, Projections))
        self.sites = nn.ModuleList(FusedSite(group, tasks, width, seed) for group in groups)

    def use(self, gates: Tensor | None, tasks: Tensor | None = None, layout: Layout | None = None) -> None:  # noqa: ARG002
        for site in self.sites:
            assert isinstance(site, FusedSite)
            site.tasks = torch.zeros(1, dtype=torch.long) if gates is None else gates.argmax(1)

    @contextmanager
    def attached(self, model: nn.Module) -> Iterator[None]:
        """Within the context `model` runs with the fused bottlenecks."""
        members = [site for site in self.sites if isinstance(site, FusedSite)]
        with attached(model, members):
            yield
