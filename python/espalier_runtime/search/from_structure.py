"""An earlier structure, fitted as it is, as the start of another search, or frozen while the rest is searched.

    start    a[t,i] begins at the strength s where the structure's task t uses candidate i, at 0 elsewhere
    freeze   z[t,i] = 1 or 0 for the structure's candidates i, as their rows say; the others are searched under the
             budget less the structure's union

A task that the structure knows by name keeps its own row; a task it does not know uses all of its candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.backbone.sites import Site
from espalier_runtime.errors import InputError
from espalier_runtime.search.budgeted import search_budgeted
from espalier_runtime.search.paper import search_paper
from espalier_runtime.search.problem import Found, SearchProblem
from espalier_runtime.structure.limits import Limits
from espalier_runtime.structure.space import Candidate, Space
from espalier_runtime.structure.structure import Structure, from_record


def search_from(problem: SearchProblem, spec: contract.FromMethod, name: str) -> Found:
    """The structure itself, or what a search finds that begins at it or keeps it."""
    known = adopt(spec, problem.backbone.sites, problem.space, problem.limits, problem.tasks, name)
    if spec.mode == "fit":
        return Found(known)
    problem = problem.of_last(spec.search.layers)
    if spec.mode == "start":
        return _search(replace(problem, start=spec.strength * covered(problem.space, known)), spec, name)
    rest = Space(_untouched(problem.space, known), problem.space.kinds)
    left = problem.limits.over(rest.candidates, settled=known.candidates)
    found = _search(replace(problem, space=rest, limits=left, kept=known), spec, name)
    found.structure = _joined(known, found.structure)
    return found


def adopt(
    spec: contract.FromMethod, sites: Sequence[Site], space: Space, limits: Limits, tasks: Sequence[str], name: str
) -> Structure:
    """The structure that `spec` names, for `tasks`.

    Raises InputError where it cannot be read, does not fit the backbone or the space's kinds, or leaves no budget.
    """
    record = read_structure(Path(spec.structure))
    known = from_record(record, sites, space.kinds)
    everything = tuple(1.0 for _ in known.candidates)
    of = {task: index for index, task in enumerate(known.tasks)}
    adopted = replace(
        known,
        method=name,
        tasks=tuple(tasks),
        budget=limits.parameters,
        rows=tuple(known.rows[of[task]] if task in of else everything for task in tasks),
        scores=tuple(known.scores[of[task]] if task in of else everything for task in tasks),
    )
    missed = limits.over(known.candidates).missed_by(range(len(known.candidates)))
    if missed is not None and spec.mode != "start":
        limit, cost = missed
        raise InputError(
            f"{name}: the structure of {spec.structure} has {limit.said(cost)}, the budget is {limit.said(limit.most)}",
            mend="Raise the budget to what it has, or start from it: mode start searches within the budget.",
        )
    if spec.mode == "freeze":
        _check_rest(spec, space, limits, adopted, name)
    return adopted


def read_structure(path: Path) -> contract.Structure:
    """The record in `path`: a structure.json, the folder of its trial, or RUN/TRIAL. Raises InputError for others."""
    places = [path, path / "structure.json", path.parent / "trials" / path.name / "structure.json"]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise InputError(
            f"structure: {path} is neither a structure.json, nor a finished trial's folder, nor RUN/TRIAL",
            mend="Name a trial as RUN/TRIAL, such as runs/quickstart-20260102T030405Z-0a1b2c3d/budgeted-seed0.",
        )
    try:
        return contract.Structure.model_validate_json(file.read_text())
    except (ValidationError, UnicodeDecodeError) as error:
        fault = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise InputError(f"structure: {file} holds no structure: {fault}", mend="Give a structure.json.") from error


def covered(space: Space, known: Structure) -> Tensor:
    """(tasks, candidates): 1 where a task of `known` uses all units of the space's candidate, 0 elsewhere."""
    rows = []
    for task in range(len(known.tasks)):
        used = {unit for i, c in enumerate(known.candidates) if known.rows[task][i] for unit in _units(c)}
        rows.append([float(_units(candidate) <= used) for candidate in space.candidates])
    return torch.tensor(rows)


def _search(problem: SearchProblem, spec: contract.FromMethod, name: str) -> Found:
    if isinstance(spec.search, contract.BudgetedMethod):
        return search_budgeted(problem, spec.search, name)
    return search_paper(problem, spec.search, name)


def _untouched(space: Space, known: Structure) -> tuple[Candidate, ...]:
    """The space's candidates that share no unit with the structure."""
    taken = {unit for candidate in known.candidates for unit in _units(candidate)}
    return tuple(candidate for candidate in space.candidates if not _units(candidate) & taken)


def _units(candidate: Candidate) -> set[tuple[str, str, int]]:
    units = range(candidate.start, candidate.start + candidate.size)
    return {(candidate.site.name, candidate.kind, unit) for unit in units}


def _check_rest(spec: contract.FromMethod, space: Space, limits: Limits, known: Structure, name: str) -> None:
    rest = limits.over(_untouched(space, known), settled=known.candidates)
    if not rest.fill(range(len(rest.candidates))):
        raise InputError(
            f"{name}: beside the frozen structure of {spec.structure}, {known.union:,} parameters, no candidate fits"
            " the budget",
            mend="Raise the budget, widen the space, or fit the structure as it is: mode fit.",
        )


def _joined(first: Structure, second: Structure) -> Structure:
    return Structure(
        method=first.method,
        tasks=first.tasks,
        budget=first.budget,
        candidates=(*first.candidates, *second.candidates),
        rows=tuple((*a, *b) for a, b in zip(first.rows, second.rows, strict=True)),
        scores=tuple((*a, *b) for a, b in zip(first.scores, second.scores, strict=True)),
    )
