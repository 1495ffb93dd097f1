"""Routing: how much of each path a task takes, where a place (a site and kind) has a pool of E adapters for all tasks.

    h' = h + s sum_e pi[t,e] z[t,e] D_e(h)

    gate        pi[t,e] = 1
    softmax     pi[t,.] = softmax(beta[t,.] / tau)
    bernoulli   pi[t,e] = m[t,e] / sum_e' m[t,e'],   m = sigmoid((beta + log u - log(1 - u)) / tau),  u uniform

beta has a row a task and an entry a path of a place; all chunks of a path share it. With E = 1 every form is pi = 1,
the gate alone. `bernoulli` is Polytropon's router (arXiv 2202.13914): relaxed Bernoulli draws, one a step, normalised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from espalier_runtime.structure.space import Candidate, Space
from espalier_runtime.structure.structure import Structure

Combine = Literal["softmax", "bernoulli"]


class Routes(nn.Module):
    """beta, uniform in +-0.001 at first: nearly equal shares, but not so equal that two paths of zeros stay alike."""

    def __init__(self, tasks: int, candidates: Sequence[Candidate], combine: Combine, seed: int) -> None:
        super().__init__()
        paths = list(dict.fromkeys((c.site.name, c.kind, c.path) for c in candidates))
        places = list(dict.fromkeys(path[:2] for path in paths))
        self._combine = combine
        self._places = len(places)
        generator = torch.Generator().manual_seed(seed)
        self.logits = nn.Parameter(torch.rand(tasks, len(paths), generator=generator) * 2e-3 - 1e-3)
        place_of = torch.tensor([places.index(path[:2]) for path in paths])
        path_of = torch.tensor([paths.index((c.site.name, c.kind, c.path)) for c in candidates])
        self.register_buffer("_place_of", place_of, persistent=False)
        self.register_buffer("_path_of", path_of, persistent=False)

    _place_of: Tensor
    _path_of: Tensor

    def forward(self, temperature: float, draw: Tensor | None = None) -> Tensor:
        """pi (tasks, candidates); `draw` u (tasks, paths) in (0, 1) for the Bernoulli's noise, None for none."""
        shares = self._amounts(temperature, draw)
        index = self._place_of.expand_as(shares)
        totals = torch.zeros(shares.shape[0], self._places, device=shares.device).scatter_add(1, index, shares)
        return (shares / totals.gather(1, index)).index_select(1, self._path_of)

    def _amounts(self, temperature: float, draw: Tensor | None) -> Tensor:
        """What is normalised over a place's paths, (tasks, paths)."""
        if self._combine == "softmax":
            index = self._place_of.expand_as(self.logits)
            # The largest of each place, taken away first, keeps the exponentials in range.
            largest = torch.full((self.logits.shape[0], self._places), -torch.inf, device=self.logits.device)
            largest = largest.scatter_reduce(1, index, self.logits.detach(), "amax")
            return torch.exp((self.logits - largest.gather(1, index)) / temperature)
        noise = 0.0 if draw is None else draw.log() - (-draw).log1p()
        return torch.sigmoid((self.logits + noise) / temperature).clamp_min(1e-6)


def harden_routes(structure: Structure, space: Space, shares: Tensor) -> Structure:
    """The structure whose tasks mix the paths they kept by `shares` pi (tasks, candidates), summing to 1 at each place.

    A task that kept a single path of a place takes it whole: its route is hard.
    """
    index = {candidate.id: i for i, candidate in enumerate(space.candidates)}
    rows = []
    for task, row in enumerate(structure.rows):
        kept: dict[tuple[str, str], dict[int, float]] = {}
        for candidate, used in zip(structure.candidates, row, strict=True):
            if used:
                share = float(shares[task, index[candidate.id]])
                kept.setdefault((candidate.site.name, candidate.kind), {})[candidate.path] = share
        rows.append(
            tuple(
                _of_total(kept[c.site.name, c.kind], c.path) if used else 0.0
                for c, used in zip(structure.candidates, row, strict=True)
            )
        )
    return replace(structure, rows=tuple(rows))


def _of_total(shares: dict[int, float], path: int) -> float:
    return 1.0 if len(shares) == 1 else shares[path] / sum(shares.values())
