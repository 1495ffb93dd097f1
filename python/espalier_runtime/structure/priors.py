"""Priors on the gates' logits a (tasks T, candidates C): two graphs, and what their Laplacians L = D - W do.

    tasks    loss + mu tr(a' L a) = loss + mu/2 sum_st A_st |a_s - a_t|^2      A: relations of the tasks
    depth    loss + gamma tr(a L a') = loss + gamma sum_(i,j) |a_i - a_j|^2     (i, j): neighbours in depth
    filter   G' = U h(Lambda) U' G,  h = 1 / (1 + tau lambda)                   G: the logits' gradient, L of depth

`tasks` is the graph prior of Structural Priors and Modular Adapters (arXiv 2511.03981); `depth` and `filter` are the
spectral regulariser and gradient filter of Graph-Based Spectral Decomposition (arXiv 2504.19583).

Our reading, as no text says how: A_st is the cosine of the two tasks' gate gradients, running means of decay 0.9, and 0
where it is negative, so that only tasks that want alike are drawn together; it takes no gradient. The parameters that
are nodes of the spectral graph are the gates. Two candidates are neighbours, at weight 1, where slot, kind, path and
chunk agree and no layer between them has such a candidate; the graph falls apart into paths, one for each of these.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from espalier_runtime import contract
from espalier_runtime.structure.space import Candidate

#: Share that a step's gradient leaves of the running means before it.
DECAY = 0.9


class TaskGraph:
    """Relations A (T, T) of the tasks, as the gradients seen so far tell them; zero before the first."""

    def __init__(self, tasks: int, candidates: int, device: torch.device) -> None:
        self.gradient = torch.zeros(tasks, candidates, device=device)

    def observe(self, gradient: Tensor) -> None:
        """Takes a step's dL/dz (T, C)."""
        self.gradient = DECAY * self.gradient + (1 - DECAY) * gradient.detach()

    def relations(self) -> Tensor:
        """A: symmetric, between 0 and 1, zero on the diagonal."""
        rows = functional.normalize(self.gradient, dim=1)
        return (rows @ rows.t()).clamp(0, 1).fill_diagonal_(0)

    def energy(self, logits: Tensor) -> Tensor:
        """tr(a' L a) of logits (T, C), a number."""
        weights = self.relations()
        laplacian = torch.diag(weights.sum(1)) - weights
        return (logits * (laplacian @ logits)).sum()


class DepthGraph:
    """Candidates joined to their like in the next layer that has one."""

    def __init__(self, candidates: Sequence[Candidate], device: torch.device) -> None:
        alike: dict[tuple[object, ...], list[int]] = defaultdict(list)
        for index, candidate in enumerate(candidates):
            alike[candidate.site.slot, candidate.kind, candidate.path, candidate.start, candidate.size].append(index)
        by_length: dict[int, list[list[int]]] = defaultdict(list)
        for indices in alike.values():
            by_length[len(indices)].append(sorted(indices, key=lambda index: candidates[index].site.layer))
        #: The paths, (paths, nodes) indices of candidates, of each length.
        self.paths = [torch.tensor(paths, device=device) for paths in by_length.values()]

    def energy(self, logits: Tensor) -> Tensor:
        """tr(a L a') of logits (T, C), a number."""
        return torch.stack([logits[:, path].diff(dim=-1).square().sum() for path in self.paths]).sum()

    def filtered(self, gradient: Tensor, tau: float) -> Tensor:
        """U h(Lambda) U' G of G (..., C), path by path: every path's mean passes, and what alternates is damped."""
        smooth = gradient.clone()
        for path in self.paths:
            smooth[..., path] = gradient[..., path] @ self._low_pass(path.shape[1], tau).to(gradient)
        return smooth

    @staticmethod
    def _low_pass(nodes: int, tau: float) -> Tensor:
        """The filter (nodes, nodes) of a path, in float64."""
        steps = torch.eye(nodes, dtype=torch.float64).diff(dim=0)
        values, vectors = torch.linalg.eigh(steps.t() @ steps)
        kernel: Tensor = (vectors / (1 + tau * values)) @ vectors.t()
        return kernel


class Priors:
    """The priors that a search asks for; what has no strength is not computed."""

    def __init__(self, spec: contract.Prior, tasks: int, candidates: Sequence[Candidate], device: torch.device) -> None:
        self._spec = spec
        self._tasks = TaskGraph(tasks, len(candidates), device) if spec.tasks > 0 else None
        self._depth = DepthGraph(candidates, device) if spec.depth > 0 or spec.filter > 0 else None

    @classmethod
    def of(
        cls, spec: contract.Prior | None, tasks: int, candidates: Sequence[Candidate], device: torch.device
    ) -> Priors | None:
        """The priors of `spec`; None where it asks for none."""
        return None if spec is None else cls(spec, tasks, candidates, device)

    def weigh(self, gradient: Tensor, logits: Tensor, optimiser: torch.optim.Optimizer) -> None:
        """Adds the priors' gradient to those that the optimiser is about to take, then filters these.

        `gradient` is the step's dL/dz (T, C); what makes `logits` (T, C) has candidates as its last dimension.
        """
        if self._tasks is not None:
            self._tasks.observe(gradient)
        penalty = self.penalty(logits)
        if penalty is not None:
            penalty.backward()  # type: ignore[no-untyped-call]
        if self._depth is not None and self._spec.filter > 0:
            for parameter in (entry for group in optimiser.param_groups for entry in group["params"]):
                parameter.grad = self._depth.filtered(parameter.grad, self._spec.filter)

    def penalty(self, logits: Tensor) -> Tensor | None:
        """What the priors add to the loss for logits (T, C); None where they add nothing."""
        terms = []
        if self._tasks is not None:
            terms.append(self._spec.tasks * self._tasks.energy(logits))
        if self._depth is not None and self._spec.depth > 0:
            terms.append(self._spec.depth * self._depth.energy(logits))
        return torch.stack(terms).sum() if terms else None

    def state_dict(self) -> dict[str, Any]:
        """The running means, where tasks are related."""
        return {} if self._tasks is None else {"gradient": self._tasks.gradient}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Becomes what `state_dict` described."""
        if self._tasks is not None:
            self._tasks.gradient = state["gradient"].to(self._tasks.gradient.device)
