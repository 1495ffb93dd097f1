"""Saliency: no search training. What a small adapter could gain at each place, read off the frozen model's gradient.

A probe residual P v with P = 0 at a site has the gradient G = dL/dP (outputs, width of v), summed over a few batches.
Among residuals of inner size r and spectral norm 1, the loss falls fastest along G's r leading singular directions, by
the sum of their singular values. A chunk of units [start, start + size) is worth

    s * |f'(0)| * (sigma_start + ... + sigma_(start+size-1)) / parameters

with s the kind's scale.

A kind of another form is attached itself, and a candidate is worth |dL/dw| / parameters, w all its parameters at init:
along the gradient, a change of norm 1 gains that much. The two measures agree in kind, not in size: where kinds of both
forms compete, their order among each other is a rough one.
"""

from __future__ import annotations

import math

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


class Probe(Adapter):
    """h' = h + P v with P = 0: changes nothing, and its gradient is what an adapter there would be pulled by."""

    def __init__(self, site: Site, kind: ProjectionKind) -> None:
        super().__init__(kind, site, ())
        width, outputs = kind.widths(site)
        self.weight = nn.Parameter(torch.zeros(outputs, width))

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return h + self.read(x, h) @ self.weight.t()


def search_saliency(problem: SearchProblem, spec: contract.SaliencyMethod, name: str) -> Found:
    """Scores every candidate for every task from `batches` batches of the task, then fills the budget."""
    values = []
    steps = 0
    for task in range(len(problem.tasks)):
        gradients, norms, batches = _probe_gradients(problem, spec, task)
        steps += batches
        values.append(candidate_values(problem, gradients, norms))
    return fill(problem, torch.stack(values), name, steps, "the loss has no gradient at any site")


def candidate_values(problem: SearchProblem, gradients: dict[Place, Tensor], norms: dict[str, float]) -> Tensor:
    """The module's formulas, (candidates,), from G of each (site, kind) and |dL/dw| of each other candidate's id."""
    sigmas = {place: torch.linalg.svdvals(gradient) for place, gradient in gradients.items()}
    return per_parameter(problem, sigmas, norms, slope)


def _probe_gradients(
    problem: SearchProblem, spec: contract.SaliencyMethod, task: int
) -> tuple[dict[Place, Tensor], dict[str, float], int]:
    places, others = split(problem)
    probes = {place: Probe(*found).to(problem.backbone.device) for place, found in places.items()}
    pool = AdapterPool(others, problem.space.kinds, problem.seed)
    # The frozen model's loss has no gradient under a head of zeros.
    heads = problem.new_heads(probe=True)
    model = AdaptedModel(problem.backbone, pool, heads, problem.training.pooling, problem.execution)
    model.to(problem.backbone.device)
    rows = problem.corpus.of_task(task)
    corpus = model.readable(problem.corpus, problem.lowest_layer)
    batches = corpus.batches(rows, problem.training.batch_size, problem.seed, 0)[: spec.batches]
    # What draws noise or drops tokens does so in training alone.
    model.eval()
    with attached(problem.backbone.model, [*probes.values(), *pool.members()]):
        for step, batch in enumerate(batches):
            mean = 0.0
            for part in corpus.parts(batch, problem.training.max_tokens):
                loss = model.losses(corpus.batch(part), None).sum() / len(batch)
                loss.backward()  # type: ignore[no-untyped-call]
                mean += float(loss.detach())
            problem.report(task * len(batches) + step + 1, len(problem.tasks) * len(batches), mean)
    gradients = {place: probe.weight.grad for place, probe in probes.items()}
    norms = {candidate.id: _gradient_norm(pool, index) for index, candidate in enumerate(others)}
    return {place: grad.cpu() for place, grad in gradients.items() if grad is not None}, norms, len(batches)


def _gradient_norm(pool: AdapterPool, index: int) -> float:
    """|dL/dw| over all parameters of a candidate's units."""
    module, units = pool.units(index)
    return math.sqrt(sum(float(gradient.square().sum()) for gradient in module.gradients(units)))
