from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from problems import LINEARS, budgeted, problem

from espalier_runtime import contract
from espalier_runtime.errors import InputError
from espalier_runtime.records.files import write_json
from espalier_runtime.search.budgeted import search_budgeted
from espalier_runtime.search.fixed import uniform
from espalier_runtime.search.from_structure import covered, search_from
from espalier_runtime.search.problem import SearchProblem
from espalier_runtime.structure.structure import Structure, harden, to_record


def written(given: SearchProblem, structure: Structure, folder: Path) -> Path:
    file = folder / "trials" / "earlier-seed0" / "structure.json"
    file.parent.mkdir(parents=True)
    write_json(file, to_record(structure, given.backbone, given.space).model_dump(by_alias=True))
    return file


def earlier(given: SearchProblem, budget: int) -> Structure:
    """A structure in which the second task leaves out every other candidate."""
    scores = torch.rand(2, len(given.space.candidates), generator=torch.Generator().manual_seed(3))
    scores[1, ::2] = 0.0
    limits = problem(budget=budget).limits
    return harden(scores, given.space, limits, ("task0", "task1"), "earlier")


def spec(structure: Path, mode: str, **changes: object) -> contract.FromMethod:
    given = {"method": "from", "structure": str(structure), "mode": mode, "search": budgeted().model_dump()}
    return contract.FromMethod.model_validate({**given, **changes})


@pytest.mark.parametrize("named", ["structure.json", "trial", "RUN/TRIAL"])
def test_fit_takes_the_structure_as_it_is_however_it_is_named(named: str, tmp_path: Path) -> None:
    given = problem(budget=1000)
    structure = earlier(given, 1000)
    file = written(given, structure, tmp_path)
    path = {"structure.json": file, "trial": file.parent, "RUN/TRIAL": tmp_path / "earlier-seed0"}[named]
    found = search_from(given, spec(path, "fit"), "mine")
    assert found.structure == replace(structure, method="mine")
    assert (found.steps, found.model) == (0, None)


def test_a_task_that_the_structure_does_not_know_uses_all_of_it(tmp_path: Path) -> None:
    given = problem(budget=1000)
    structure = earlier(given, 1000)
    assert not all(structure.rows[1])
    file = written(given, structure, tmp_path)
    other = replace(given, tasks=("task1", "new"))
    found = search_from(other, spec(file, "fit"), "mine").structure
    assert found.rows == (structure.rows[1], (True,) * len(structure.candidates))


def test_freeze_keeps_the_structure_and_searches_the_rest_of_the_budget(tmp_path: Path) -> None:
    given = problem(budget=1000)
    structure = earlier(given, 400)
    file = written(given, structure, tmp_path)
    found = search_from(given, spec(file, "freeze"), "mine")
    count = len(structure.candidates)
    assert found.structure.candidates[:count] == structure.candidates
    assert tuple(row[:count] for row in found.structure.rows) == structure.rows
    assert 936 < found.structure.union <= 1000
    assert len(set(found.structure.candidates)) == len(found.structure.candidates)
    assert found.model is not None
    assert found.searched is not None
    assert not set(found.searched) & set(structure.candidates)
    assert found.history is not None
    assert found.history.values[0].shape == (2, len(found.searched))


def test_start_begins_the_gates_at_the_structure(tmp_path: Path) -> None:
    given = problem(budget=1000)
    structure = earlier(given, 1000)
    file = written(given, structure, tmp_path)
    # At gate rates of almost nothing, a search ends where it began.
    still = budgeted(gateLearningRate=1e-5, taskGateLearningRate=1e-5).model_dump()
    found = search_from(given, spec(file, "start", search=still), "mine").structure
    assert set(found.candidates) >= set(structure.candidates)
    of_first = found.rows[0]
    assert all(of_first[found.candidates.index(c)] for i, c in enumerate(structure.candidates) if structure.rows[0][i])
    cold = search_budgeted(given, budgeted(gateLearningRate=1e-5, taskGateLearningRate=1e-5), "cold").structure
    assert set(cold.candidates) != set(structure.candidates)


@pytest.mark.parametrize("mode", ["start", "freeze"])
def test_the_layers_of_the_search_bound_what_it_adds(mode: str, tmp_path: Path) -> None:
    given = problem(budget=1000)
    known = earlier(given, 400)
    file = written(given, known, tmp_path)
    top = given.backbone.layers - 1
    search = {**budgeted().model_dump(), "layers": 1}
    found = search_from(given, spec(file, mode, search=search), "mine").structure
    kept = known.candidates if mode == "freeze" else ()
    added = [candidate for candidate in found.candidates if candidate not in kept]
    assert added
    assert {candidate.site.layer for candidate in added} == {top}


def test_a_candidate_is_covered_where_all_its_units_are_in_use() -> None:
    given = problem()
    coarse = contract.Space(slots=LINEARS, layers=None, kinds=[contract.LoraKind(kind="lora", ranks=[2, 4])])
    known = uniform(problem(space=coarse, budget=2 * 64), None, "uniform").structure
    (place,) = known.candidates
    rows = covered(given.space, known)
    open_ones = [c.id for c, value in zip(given.space.candidates, rows[0], strict=True) if value == 1.0]
    assert open_ones == [f"{place.site.name}/lora[0:1]", f"{place.site.name}/lora[1:2]"]


@pytest.mark.parametrize(
    ("mode", "budget", "message"),
    [
        ("fit", 300, "has 384 parameters, the budget is 300"),
        ("freeze", 410, "no candidate fits"),
    ],
)
def test_what_leaves_no_budget_is_refused(mode: str, budget: int, message: str, tmp_path: Path) -> None:
    structure = uniform(problem(budget=384), None, "uniform").structure
    assert structure.union == 384
    file = written(problem(), structure, tmp_path)
    with pytest.raises(InputError, match=message):
        search_from(problem(budget=budget), spec(file, mode), "mine")


def test_what_is_no_structure_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a structure.json"):
        search_from(problem(), spec(tmp_path / "nothing", "fit"), "mine")
    (tmp_path / "structure.json").write_text('{"version": 1}')
    with pytest.raises(InputError, match="holds no structure"):
        search_from(problem(), spec(tmp_path, "fit"), "mine")
