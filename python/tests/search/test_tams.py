"""The task controller: what it makes of an embedding, and what it proposes for a task it has not seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from problems import corpus, problem

from espalier_runtime import contract
from espalier_runtime.errors import InputError
from espalier_runtime.search.controller import Controller, embeddings, write_controller
from espalier_runtime.search.methods import find_structure
from espalier_runtime.search.problem import SearchProblem
from espalier_runtime.search.tams import search_tams


def tams(**changes: object) -> contract.TamsMethod:
    given = {"method": "tams", "name": "tams", "temperature": [1.0, 0.25]}
    return contract.TamsMethod.model_validate({**given, **changes})


def test_a_task_s_embedding_is_mean_and_deviation_of_its_frozen_states() -> None:
    given = problem()
    found = embeddings(given)
    assert found.shape == (2, 64)
    batch = given.corpus.batch(given.corpus.of_task(1))
    with torch.no_grad():
        states = given.model().pooled(batch, None)
    torch.testing.assert_close(found[1, :32], states.mean(0), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found[1, 32:], states.std(0, correction=0), atol=1e-5, rtol=1e-4)


def test_a_fresh_controller_gives_every_task_the_same_logits_and_learns_to_tell_them_apart() -> None:
    controller = Controller(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), candidates=3, width=8, seed=0)
    assert torch.equal(controller(), torch.zeros(2, 3))
    wanted = torch.tensor([[2.0, -2.0, 0.0], [-2.0, 2.0, 0.0]])
    optimiser = controller.optimiser(0.05, 0.05)
    for _ in range(300):
        optimiser.zero_grad()
        (controller() - wanted).square().sum().backward()
        optimiser.step()
    torch.testing.assert_close(controller(), wanted, atol=0.05, rtol=0.0)


def near(place: int, given: SearchProblem, folder: Path) -> torch.Tensor:
    """Embeddings of a single unseen task next to task `place` of the controller that is written into `folder`."""
    known = embeddings(given)
    controller = Controller(known, len(given.space.candidates), width=16, seed=0)
    wanted = torch.full((2, len(given.space.candidates)), -4.0)
    wanted[0, :6] = wanted[1, -6:] = 4.0
    optimiser = controller.optimiser(0.05, 0.02)
    for _ in range(300):
        optimiser.zero_grad()
        (controller() - wanted).square().mean().backward()
        optimiser.step()
    ids = [candidate.id for candidate in given.space.candidates]
    write_controller(controller, ids, given.backbone.fingerprint, folder / "controller.safetensors")
    return known[place : place + 1] + 0.02 * (known[1 - place] - known[place])


@pytest.mark.parametrize("place", [0, 1])
def test_an_unseen_task_gets_the_structure_of_the_task_that_it_is_like(
    place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unseen = near(place, problem(), tmp_path)
    monkeypatch.setattr("espalier_runtime.search.tams.embeddings", lambda _: unseen)
    given = problem(budget=500, tasks=1)
    found = search_tams(given, tams(controller=str(tmp_path)), "tams")
    assert found.structure.tasks == ("task0",)
    assert 400 < found.structure.union <= 500
    layer = 0 if place == 0 else 2
    there = sum(candidate.parameters for candidate in found.structure.candidates if candidate.site.layer == layer)
    # What of the budget the task's own candidates cannot fill goes to others.
    assert there >= 0.75 * found.structure.union


def test_a_trained_controller_is_kept_and_proposes_within_the_budget_for_rows_it_has_not_seen(tmp_path: Path) -> None:
    given = problem(budget=1000)
    found = search_tams(given, tams(), "tams")
    assert 936 < found.structure.union <= 1000
    assert found.structure == search_tams(problem(budget=1000), tams(), "tams").structure
    assert isinstance(found.controller, Controller)
    assert bool((found.controller() != 0).any())
    ids = [candidate.id for candidate in given.space.candidates]
    folder = tmp_path / "run" / "trials" / "tams-seed0"
    folder.mkdir(parents=True)
    write_controller(found.controller, ids, given.backbone.fingerprint, folder / "controller.safetensors")
    other = replace(problem(budget=700), corpus=corpus(2, rows=10))
    proposed = search_tams(other, tams(controller=str(tmp_path / "run" / "tams-seed0")), "tams")
    assert proposed.steps == 0
    assert 600 < proposed.structure.union <= 700


def test_a_controller_that_does_not_fit_is_refused_with_what_mends_it(tmp_path: Path) -> None:
    given = problem()
    with pytest.raises(InputError, match="neither the folder of a finished trial of tams, nor RUN/TRIAL"):
        search_tams(given, tams(controller=str(tmp_path)), "tams")
    controller = Controller(embeddings(given), len(given.space.candidates) - 1, 4, 0)
    ids = [candidate.id for candidate in given.space.candidates[1:]]
    write_controller(controller, ids, given.backbone.fingerprint, tmp_path / "controller.safetensors")
    with pytest.raises(InputError, match=r"knows nothing of 1 of the space's candidates, such as layers.0.attention"):
        search_tams(given, tams(controller=str(tmp_path)), "tams")
    write_controller(controller, ids, "other", tmp_path / "controller.safetensors")
    with pytest.raises(InputError, match="other weights than this backbone's"):
        search_tams(given, tams(controller=str(tmp_path)), "tams")


def test_a_controller_of_the_last_layers_speaks_of_their_candidates(tmp_path: Path) -> None:
    given = problem(budget=500)
    found = find_structure(given, tams(layers=1), 0)
    assert isinstance(found.controller, Controller)
    assert found.searched is not None
    assert {candidate.site.layer for candidate in found.searched} == {2}
    assert found.controller().shape == (2, len(found.searched))
    ids = [candidate.id for candidate in found.searched]
    write_controller(found.controller, ids, given.backbone.fingerprint, tmp_path / "controller.safetensors")
    again = find_structure(problem(budget=500), tams(layers=1, controller=str(tmp_path)), 0)
    assert {candidate.site.layer for candidate in again.structure.candidates} == {2}
    with pytest.raises(InputError, match="knows nothing of"):
        find_structure(problem(budget=500), tams(controller=str(tmp_path)), 0)
