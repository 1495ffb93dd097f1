"""Structures a person would pick: uniform, top layers, random, none. They look at no data, and all tasks share them."""

from __future__ import annotations

import random

from espalier_runtime.search.problem import Found, SearchProblem
from espalier_runtime.structure.space import Candidate
from espalier_runtime.structure.structure import fill, shared_by_all


def uniform(problem: SearchProblem, kind: str | None, name: str) -> Found:
    """Every site gets its first chunk, then every site its second, while the budget lasts.

    Where a round does not fit whole, cheaper sites come first, then higher layers.
    """
    return _even(problem, kind, name, lowest_layer=0)


def top_layers(problem: SearchProblem, layers: int, kind: str | None, name: str) -> Found:
    """`uniform` on the last `layers` layers."""
    return _even(problem, kind, name, lowest_layer=max(0, problem.backbone.layers - layers))


def draw_random(problem: SearchProblem, draw: int, name: str) -> Found:
    """Candidates in random order, taken while they fit. The structure depends on `draw` alone, not on the seed."""
    order = list(range(len(problem.space.candidates)))
    random.Random(f"structure {draw}").shuffle(order)
    return _chosen(problem, sorted(fill(order, problem.space, problem.budget)), name)


def nothing(problem: SearchProblem, name: str) -> Found:
    """No candidate: the head alone is trained."""
    return _chosen(problem, [], name)


def _even(problem: SearchProblem, kind: str | None, name: str, lowest_layer: int) -> Found:
    wanted = kind or next(iter(problem.space.kinds))
    candidates = problem.space.candidates

    def place(index: int) -> tuple[int, int, int]:
        candidate = candidates[index]
        return candidate.level, candidate.parameters, -candidate.site.layer

    eligible = [i for i, c in enumerate(candidates) if c.kind == wanted and c.site.layer >= lowest_layer]
    return _chosen(problem, sorted(fill(sorted(eligible, key=place), problem.space, problem.budget)), name)


def _chosen(problem: SearchProblem, indices: list[int], name: str) -> Found:
    chosen: list[Candidate] = [problem.space.candidates[index] for index in indices]
    return Found(shared_by_all(chosen, problem.budget, problem.tasks, name))
