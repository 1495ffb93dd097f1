"""Fisher scores: no search training. The empirical Fisher information of what an adapter would learn at each place.

With G_r = dL_r/dP of a residual P v, P = 0, for a single row r, and A an orthonormal down projection, the trace of the
Fisher information of an up projection B is, over rows,

    tr F = E_r |G_r A'|^2        largest where A spans the leading eigenvectors of E_r[G_r' G_r]

so that a chunk of units [start, start + size) is worth, with lambda the falling eigenvalues,

    s^2 f'(0)^2 (lambda_start + ... + lambda_(start+size-1)) / parameters

Where the outputs are fewer than what is read, E_r[G_r G_r'] is taken, the same for the other side. A kind of another
form is attached itself: E_r |dL_r/dw|^2 / parameters, w all its parameters at init.

Unlike saliency, whose gradient is of the mean loss, rows that pull in different directions do not cancel. After Sung
et al., arXiv 2111.09839, who keep the weights of largest Fisher information; that of places and ranks is our reading.
"""

from __future__ import annotations

import math
from collections import defaultdict
from functools import partial

import torch
from torch import Tensor, nn

from espalier_runtime import contract
from espalier_runtime.adapters.attach import attached
from espalier_runtime.adapters.base import Adapter
from espalier_runtime.adapters.projections import ProjectionKind
from espalier_runtime.backbone.sites import Site
from espalier_runtime.search.probes import Place, fill, per_parameter, slope, split
from espalier_runtime.search.problem import Found, SearchProblem
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.training.model import AdaptedModel


class FisherProbe(Adapter):
    """h' = h, and `energy` sums G_r' G_r (width, width) of the rows that run backward one at a time, or G_r G_r'."""

    def __init__(self, site: Site, kind: ProjectionKind) -> None:
        super().__init__(kind, site, ())
        self.of_width, self.of_outputs = kind.widths(site)
        size = min(self.of_width, self.of_outputs)
        self.energy = torch.zeros(size, size, dtype=torch.float64)
        # Something that wants a gradient, so that one comes by where all weights are frozen.
        self.nothing = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        read = self.read(x, h).detach().reshape(-1, self.of_width)
        out = h + self.nothing
        out.register_hook(partial(self._take, read))  # type: ignore[no-untyped-call]
        return out

    def _take(self, read: Tensor, gradient: Tensor) -> None:
        """With D (tokens, outputs) and V (tokens, width), G = D' V, so G' G = V' (D D') V and G G' = D' (V V') D."""
        given, read = gradient.reshape(-1, self.of_outputs).float(), read.float()
        inner, outer = (given, read) if self.of_width <= self.of_outputs else (read, given)
        self.energy += (outer.t() @ ((inner @ inner.t()) @ outer)).double().cpu()


def search_fisher(problem: SearchProblem, spec: contract.FisherMethod, name: str) -> Found:
    """Scores every candidate for every task from `rows` rows of the task, then fills the budget."""
    values = []
    read = 0
    for task in range(len(problem.tasks)):
        rows = problem.sample(task, spec.rows)
        spectra, others = fisher(problem, rows, task)
        values.append(per_parameter(problem, spectra, others, lambda kind: slope(kind) ** 2))
        read += len(rows)
    steps = math.ceil(read / problem.training.batch_size)
    return fill(problem, torch.stack(values), name, steps, "the loss has no gradient at any site")


def fisher(problem: SearchProblem, rows: list[int], task: int = 0) -> tuple[dict[Place, Tensor], dict[str, float]]:
    """Eigenvalues, falling, of E_r[G_r' G_r] at each place, and E_r |dL_r/dw|^2 of each other candidate's id."""
    places, candidates = split(problem)
    device = problem.backbone.device
    probes = {place: FisherProbe(*found).to(device) for place, found in places.items()}
    pool = AdapterPool(candidates, problem.space.kinds, problem.seed)
    # The frozen model's loss has no gradient under a head of zeros.
    heads = problem.new_heads(probe=True)
    model = AdaptedModel(problem.backbone, pool, heads, problem.training.pooling, problem.execution).to(device)
    corpus = model.readable(problem.corpus, problem.lowest_layer)
    # What draws noise or drops tokens does so in training alone.
    model.eval()
    squares: dict[str, float] = defaultdict(float)
    total = len(problem.tasks) * len(rows)
    with attached(problem.backbone.model, [*probes.values(), *pool.members()]):
        for step, row in enumerate(rows):
            loss = model.losses(corpus.batch([row]), None).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            for index, candidate in enumerate(candidates):
                module, units = pool.units(index)
                squares[candidate.id] += sum(float(g.square().sum()) for g in module.gradients(units))
            pool.zero_grad()
            problem.report(task * len(rows) + step + 1, total, float(loss.detach()))
    spectra = {
        place: torch.linalg.eigvalsh(probe.energy / len(rows)).flip(0).clamp_min(0) for place, probe in probes.items()
    }
    return spectra, {name: value / len(rows) for name, value in squares.items()}
