"""StochGRASP: GRASP with a Gaussian in the place of gamma, for weights that will be noisy.

    in training   gamma = 1 + delta + sigma e,   e ~ N(0, 1) anew in each pass,   sigma = softplus(rho)
    and to the loss   weight * mean((sigma - target)^2)

which draws sigma to the noise that the hardware is expected to have. Outside training gamma is its mean.

Source: Bal and Sengupta, arXiv 2512.04296. Our reading: the term's form, of "matching a target noise profile"; that
the noise is on gamma, which divides what the noisy weights multiply; that beta is without noise. Cost of a unit: 3
parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from espalier_runtime import contract
from espalier_runtime.adapters.base import Chunks
from espalier_runtime.adapters.grasp import Grasp, GraspKind
from espalier_runtime.backbone.sites import Site


@dataclass(frozen=True, kw_only=True)
class StochGraspKind(GraspKind):
    """`start`: sigma at init; `target`: the sigma that it is drawn to; `weight`: how hard."""

    start: float
    target: float
    weight: float

    def parameters(self, site: Site, size: int) -> int:  # noqa: ARG002
        return 3 * size

    def build(self, site: Site, chunks: Chunks, seed: int) -> StochGrasp:  # noqa: ARG002
        return StochGrasp(self, site, chunks)


class StochGrasp(Grasp):
    """delta (units,), beta (units,), rho (units,)."""

    unit_dimensions: ClassVar = {**Grasp.unit_dimensions, "rho": 0}
    kind: StochGraspKind

    def __init__(self, kind: StochGraspKind, site: Site, chunks: Chunks) -> None:
        super().__init__(kind, site, chunks)
        # softplus(rho) = start
        self.rho = nn.Parameter(torch.full((len(self.indices),), kind.start).expm1().log())

    def gamma(self) -> Tensor:
        """1 + delta (units,), with its noise in training."""
        gamma = super().gamma()
        return gamma + self.sigma() * torch.randn_like(gamma) if self.training else gamma

    def sigma(self) -> Tensor:
        """The learned standard deviation (units,)."""
        return functional.softplus(self.rho)

    def penalty(self) -> Tensor:
        return self.kind.weight * (self.sigma() - self.kind.target).square().mean()


def stoch_grasp(spec: contract.StochGraspKind) -> StochGraspKind:
    """The kind that `spec` describes."""
    return StochGraspKind(
        name="stochGrasp",
        equation="W ((x - beta_g) / gamma_g) + b, gamma ~ N(mu_g, sigma_g)",
        sizes=tuple(spec.groups),
        grouping=spec.grouping,
        start=spec.start,
        target=spec.target,
        weight=spec.weight,
    )
