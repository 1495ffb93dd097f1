"""What searches without training share: which places are probed, and what a candidate is worth by their spectra."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from espalier_runtime.adapters.projections import ProjectionKind
from espalier_runtime.backbone.sites import Site
from espalier_runtime.errors import TrialError
from espalier_runtime.search.problem import Found, SearchProblem
from espalier_runtime.structure.space import Candidate
from espalier_runtime.structure.structure import harden

#: A site's name and a kind's.
Place = tuple[str, str]

#: f'(0) of the activations; for the ReLU, the mean of its two sides.
SLOPE_AT_ZERO = {"identity": 1.0, "gelu": 0.5, "relu": 0.5, "tanh": 1.0, "softmax": 1.0}


def split(problem: SearchProblem) -> tuple[dict[Place, tuple[Site, ProjectionKind]], list[Candidate]]:
    """The places of kinds with two projections, and the candidates of all others."""
    places: dict[Place, tuple[Site, ProjectionKind]] = {}
    others = []
    for candidate in problem.space.candidates:
        kind = problem.space.kinds[candidate.kind]
        if isinstance(kind, ProjectionKind):
            places[candidate.site.name, candidate.kind] = (candidate.site, kind)
        else:
            others.append(candidate)
    return places, others


def slope(kind: ProjectionKind) -> float:
    """s |f'(0)|: what the kind makes, at its start, of a change of its up projection."""
    return kind.scale * SLOPE_AT_ZERO[kind.activation]


def per_parameter(
    problem: SearchProblem,
    spectra: Mapping[Place, Tensor],
    others: Mapping[str, float],
    weight: Callable[[ProjectionKind], float],
) -> Tensor:
    """Each candidate's worth over its parameters, (candidates,) in float64.

    A chunk [start, start + size) of a kind with two projections is worth weight(kind) times the sum of those entries of
    its place's spectrum, falling numbers; another candidate what `others` says of its id.
    """
    values = []
    for candidate in problem.space.candidates:
        kind = problem.space.kinds[candidate.kind]
        if isinstance(kind, ProjectionKind):
            spectrum = spectra[candidate.site.name, candidate.kind]
            worth = float(spectrum[candidate.start : candidate.start + candidate.size].sum()) * weight(kind)
        else:
            worth = others[candidate.id]
        values.append(worth / candidate.parameters)
    return torch.tensor(values, dtype=torch.float64)


def fill(problem: SearchProblem, scores: Tensor, name: str, steps: int, why: str) -> Found:
    """The structure that `scores` (tasks, candidates) give, each task's made to sum to one.

    Raises TrialError, saying `why`, where all are zero.
    """
    if float(scores.sum()) == 0.0:
        raise TrialError(f"{name}: {why}", mend="Look for labels that are all equal, or rows that are empty.")
    scores = scores / scores.sum(1, keepdim=True).clamp_min(1e-30)
    return Found(harden(scores, problem.space, problem.limits, problem.tasks, name), steps=steps)
