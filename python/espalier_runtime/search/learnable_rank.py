"""Learnable rank: one number a place instead of one a candidate (Garg et al., arXiv 2606.04325, whose abstract says no
more than that the optimiser determines each layer's rank).

Our reading: with rho[t,s] the learned rank of place s (a site, kind and path), counted in chunks, its k-th chunk is
open by how far rho reaches past the chunk's middle,

    p[t,s,k] = sigmoid((rho[t,s] - (k - 1/2) - b) / tau)        sum c p = B(step), b solved as in `budgeted`

so that lower chunks always come first and what a place has is a rank. As tau falls the mask becomes hard.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from espalier_runtime import contract
from espalier_runtime.search.budgeted import BudgetedGates
from espalier_runtime.search.learned import train_and_fill
from espalier_runtime.search.problem import Found, SearchProblem
from espalier_runtime.structure.gates import GateLogits
from espalier_runtime.structure.space import Candidate


class RankLogits(nn.Module):
    """a[t,i] = rho[t, place of i] - (k - 1/2), i the place's k-th chunk; rho is shared by tasks plus a difference."""

    _place: Tensor
    _middle: Tensor

    def __init__(self, tasks: int, candidates: tuple[Candidate, ...]) -> None:
        super().__init__()
        keys = [(c.site.name, c.kind, c.path) for c in candidates]
        places = list(dict.fromkeys(keys))
        starts = {key: sorted(c.start for c, own in zip(candidates, keys, strict=True) if own == key) for key in places}
        middle = [starts[key].index(c.start) + 0.5 for c, key in zip(candidates, keys, strict=True)]
        self.ranks = GateLogits(tasks, len(places))
        self.register_buffer("_place", torch.tensor([places.index(key) for key in keys]), persistent=False)
        self.register_buffer("_middle", torch.tensor(middle), persistent=False)

    def forward(self) -> Tensor:
        """(tasks, candidates)."""
        ranks: Tensor = self.ranks()
        return ranks.index_select(1, self._place) - self._middle

    def optimiser(self, learning_rate: float, task_learning_rate: float) -> torch.optim.Optimizer:
        """Adam over rho, as over the logits of other searches."""
        return self.ranks.optimiser(learning_rate, task_learning_rate)


def search_learnable_rank(problem: SearchProblem, spec: contract.LearnableRankMethod, name: str) -> Found:
    """Trains all candidates under ranks that spend the budget, then fills it by probability."""
    budget = None if problem.budget >= problem.space.parameters else problem.budget
    tasks = len(problem.tasks)
    logits = RankLogits(tasks, problem.space.candidates)
    gates = BudgetedGates(tasks, problem.costs(), budget, spec, problem.seed, logits=logits)
    return train_and_fill(problem, gates, spec.epochs, name)
