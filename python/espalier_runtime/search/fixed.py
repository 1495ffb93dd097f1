"""Structures a person would pick: uniform, top layers, random, one a task, none. They look at no data."""

from __future__ import annotations

import dataclasses
import random

from espalier_runtime.backbone.sites import Site
from espalier_runtime.search.problem import Found, SearchProblem
from espalier_runtime.structure.space import Candidate
from espalier_runtime.structure.structure import Structure, fill, shared_by_all


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


def separate(problem: SearchProblem, kind: str | None, name: str) -> Found:
    """An adapter a task: `uniform` at the budget divided by the tasks, each task with units of its own.

    At a site where `uniform` gives size r, task t has the units from t r to t r + r: they may lie beyond the space.
    """
    tasks = len(problem.tasks)
    share = _even(dataclasses.replace(problem, budget=problem.budget // tasks), kind, name, lowest_layer=0).structure
    sizes: dict[tuple[Site, str], int] = {}
    for candidate in share.candidates:
        key = (candidate.site, candidate.kind)
        sizes[key] = sizes.get(key, 0) + candidate.size
    chosen = [
        Candidate(site, kind_name, task * size, size, task, problem.space.kinds[kind_name].parameters(site, size))
        for (site, kind_name), size in sizes.items()
        for task in range(tasks)
    ]
    rows = tuple(tuple(candidate.level == task for candidate in chosen) for task in range(tasks))
    return Found(
        Structure(
            method=name,
            tasks=problem.tasks,
            budget=problem.budget,
            candidates=tuple(chosen),
            rows=rows,
            scores=tuple(tuple(float(used) for used in row) for row in rows),
        )
    )


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
