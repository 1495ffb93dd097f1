"""Structures a person would pick: uniform, top layers, random, one a task, none. They look at no data."""

from __future__ import annotations

import dataclasses
import random

from espalier_runtime.backbone.sites import Site
from espalier_runtime.errors import InputError, TrialError
from espalier_runtime.search.problem import Found, SearchProblem
from espalier_runtime.structure.limits import Limits
from espalier_runtime.structure.space import Candidate, Space
from espalier_runtime.structure.structure import Structure, shared_by_all


def uniform(problem: SearchProblem, kind: str | None, name: str) -> Found:
    """Every site gets its first chunk, then every site its second, while the budget lasts.

    Where a round does not fit whole, cheaper sites come first, then higher layers. Where the budget does not reach all
    layers, the depth is taken at which the most sites carry adapters, and of these the most parameters. Raises
    TrialError where no chunk of the kind fits.
    """
    return _even(problem, kind, name, lowest_layer=0)


def top_layers(problem: SearchProblem, layers: int, kind: str | None, name: str) -> Found:
    """`uniform` on the last `layers` layers."""
    return _even(problem, kind, name, lowest_layer=max(0, problem.backbone.layers - layers))


def draw_random(problem: SearchProblem, draw: int, name: str) -> Found:
    """A random depth, then candidates within its reach in random order, taken while they fit, then any others.

    The structure depends on `draw` alone, not on the seed.
    """
    order = list(range(len(problem.space.candidates)))
    chance = random.Random(f"structure {draw}")
    chance.shuffle(order)
    return _chosen(problem, problem.limits.fill_reaching(order, chance.choice(problem.limits.depths())), name)


def separate(problem: SearchProblem, kind: str | None, name: str) -> Found:
    """An adapter a task: `uniform` at what the budget allows each of them, each task with units of its own.

    At a site where `uniform` gives size r, task t has the units from t r to t r + r: they may lie beyond the space.
    """
    tasks = len(problem.tasks)
    copies = tuple(
        dataclasses.replace(c, size=tasks * c.size, parameters=tasks * c.parameters) for c in problem.space.candidates
    )
    all_at_once = dataclasses.replace(
        problem, space=Space(copies, problem.space.kinds), limits=problem.limits.over(copies)
    )
    sizes: dict[tuple[Site, str], int] = {}
    for candidate in _even(all_at_once, kind, name, lowest_layer=0).structure.candidates:
        key = (candidate.site, candidate.kind)
        sizes[key] = sizes.get(key, 0) + candidate.size // tasks
    chosen = [
        Candidate.of(problem.space.kinds[kind_name], site, task * size, size, task)
        for (site, kind_name), size in sizes.items()
        for task in range(tasks)
    ]
    rows = tuple(tuple(candidate.level == task for candidate in chosen) for task in range(tasks))
    return Found(
        Structure(
            method=name,
            tasks=problem.tasks,
            budget=problem.limits.parameters,
            candidates=tuple(chosen),
            rows=rows,
            scores=tuple(tuple(float(used) for used in row) for row in rows),
        )
    )


def nothing(problem: SearchProblem, name: str) -> Found:
    """No candidate: the head alone is trained."""
    return _chosen(problem, [], name)


def check_fits(space: Space, limits: Limits, kind: str | None, name: str) -> None:
    """Raises InputError where no candidate of the kind keeps the limits; None: of the space's first kind."""
    wanted = kind or next(iter(space.kinds))
    if not any(wanted in (c.kind, "all") and limits.fill([index]) for index, c in enumerate(space.candidates)):
        raise InputError(*_none_fits(wanted, name))


def _none_fits(wanted: str, name: str) -> tuple[str, str]:
    what = "candidate" if wanted == "all" else wanted
    return (
        f"{name}: no {what} fits the budget, so that nothing would be adapted",
        "Raise the budget, give the kind a smaller size, or name another kind.",
    )


def _even(problem: SearchProblem, kind: str | None, name: str, lowest_layer: int) -> Found:
    wanted = kind or next(iter(problem.space.kinds))
    candidates = problem.space.candidates

    def place(index: int) -> tuple[int, int, int]:
        candidate = candidates[index]
        return candidate.level, candidate.parameters, -candidate.site.layer

    def spread(chosen: list[int]) -> tuple[int, int]:
        return len({candidates[i].site.name for i in chosen}), sum(candidates[i].parameters for i in chosen)

    eligible = [i for i, c in enumerate(candidates) if wanted in (c.kind, "all") and c.site.layer >= lowest_layer]
    chosen = problem.limits.best_fill(sorted(eligible, key=place), spread)
    if not chosen:
        raise TrialError(*_none_fits(wanted, name))
    return _chosen(problem, chosen, name)


def _chosen(problem: SearchProblem, indices: list[int], name: str) -> Found:
    chosen: list[Candidate] = [problem.space.candidates[index] for index in indices]
    return Found(shared_by_all(chosen, problem.limits, problem.tasks, name))
