"""EVA-style scores: no search training and no labels. How much of what a place reads a few directions explain.

With C the covariance of a place's v over the tokens of a task's rows and lambda its falling eigenvalues, which are the
squared singular values of the centred activations, a chunk of units [start, start + size) is worth

    (lambda_start + ... + lambda_(start+size-1)) / tr C / parameters

After Paischer et al., arXiv 2410.07170, who give ranks to the linears whose components explain most; they also start A
from these components, which a fit from fresh adapters does not. Per parameter, because the budget counts parameters,
and for every kind of the form s W_up f(W_down v), is our reading.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.adapters.attach import attached
from espalier_runtime.adapters.base import Adapter
from espalier_runtime.adapters.projections import ProjectionKind
from espalier_runtime.backbone.sites import Site
from espalier_runtime.errors import InputError
from espalier_runtime.search.probes import Place, fill, per_parameter, split
from espalier_runtime.search.problem import Found, SearchProblem
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import Space
from espalier_runtime.training.model import AdaptedModel


class VarianceProbe(Adapter):
    """h' = h, and what is read adds to its number, sum (width,) and second moment (width, width)."""

    def __init__(self, site: Site, kind: ProjectionKind) -> None:
        super().__init__(kind, site, ())
        width, _ = kind.widths(site)
        self.count = 0
        self.sum = torch.zeros(width, dtype=torch.float64)
        self.moment = torch.zeros(width, width, dtype=torch.float64)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        read = self.read(x, h).detach()
        read = read.reshape(-1, read.shape[-1])
        self.count += len(read)
        self.sum += read.double().sum(0).cpu()
        self.moment += (read.t() @ read).double().cpu()
        return h

    def explained(self) -> Tensor:
        """The share of the variance that each component explains, falling, (width,); zeros where nothing varies."""
        mean = self.sum / self.count
        covariance = self.moment / self.count - torch.outer(mean, mean)
        eigenvalues: Tensor = torch.linalg.eigvalsh(covariance).flip(0).clamp_min(0)
        total = eigenvalues.sum()
        return eigenvalues / total if float(total) > 0 else eigenvalues


def search_eva(problem: SearchProblem, spec: contract.EvaMethod, name: str) -> Found:
    """Scores every candidate for every task from `rows` rows of the task, then fills the budget.

    Raises InputError where the space has kinds of another form.
    """
    check_kinds(problem.space, name)
    values = []
    read = 0
    for task in range(len(problem.tasks)):
        rows = problem.sample(task, spec.rows)
        values.append(per_parameter(problem, explained_variance(problem, rows, task), {}, lambda _: 1.0))
        read += len(rows)
    # A row that is only read costs half of one that is trained on.
    steps = math.ceil(read / problem.training.batch_size / 2)
    return fill(problem, torch.stack(values), name, steps, "what the sites read does not vary")


def check_kinds(space: Space, name: str) -> None:
    """Raises InputError where the space has kinds whose directions cannot be scored."""
    kinds = dict.fromkeys(candidate.kind for candidate in space.candidates)
    others = [kind for kind in kinds if not isinstance(space.kinds[kind], ProjectionKind)]
    if others:
        raise InputError(
            f"{name}: only kinds of the form s W_up f(W_down v) have directions to be scored, and space.kinds has"
            f" {', '.join(others)}",
            mend="Leave these out, or use search.fisher or search.saliency, which score every kind.",
        )


def explained_variance(problem: SearchProblem, rows: list[int], task: int = 0) -> dict[Place, Tensor]:
    """The explained shares at each place, over the tokens of `rows`, which run one at a time: none is padding."""
    places, _ = split(problem)
    probes = {place: VarianceProbe(*found) for place, found in places.items()}
    nothing = AdapterPool([], problem.space.kinds, problem.seed)
    # Every token is looked at, also where the head reads one of the last layer's alone.
    execution = replace(problem.execution, one_token=False)
    heads = problem.new_heads(probe=False)
    model = AdaptedModel(problem.backbone, nothing, heads, problem.training.pooling, execution)
    model.to(problem.backbone.device)
    corpus = model.readable(problem.corpus, problem.lowest_layer)
    total = len(problem.tasks) * len(rows)
    with torch.no_grad(), attached(problem.backbone.model, probes.values()):
        for step, row in enumerate(rows):
            loss = model.losses(corpus.batch([row]), None).sum()
            problem.report(task * len(rows) + step + 1, total, float(loss))
    return {place: probe.explained() for place, probe in probes.items()}
