from __future__ import annotations

import pytest
import torch
from problems import budgeted, problem

from espalier_runtime.search.ablation import check_cut, held_out_loss
from espalier_runtime.search.budgeted import search_budgeted
from espalier_runtime.search.problem import SearchProblem
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.structure import harden
from espalier_runtime.training.model import AdaptedModel


def searched() -> tuple[SearchProblem, AdaptedModel, torch.Tensor]:
    """A model whose candidates all do something, and scores that know nothing of it."""
    given = problem(budget=1000, tasks=1)
    model = given.model()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for group in model.adapters.members():
            group.up.copy_(torch.randn(group.up.shape, generator=generator) * 0.3)
    return given, model, torch.rand(1, len(given.space.candidates), generator=generator)


def loss_with(given: SearchProblem, model: AdaptedModel, candidates: list[int], rows: list[int]) -> float:
    """The held-out loss of a model that holds these candidates and nothing else."""
    pool = AdapterPool([given.space.candidates[index] for index in candidates], given.space.kinds, 0)
    pool.copy_from(model.adapters)
    pruned = AdaptedModel(given.backbone, pool, [("task0", model.head(0))], "mean")
    with torch.no_grad(), pool.attached(given.backbone.model):
        return float(pruned.losses(given.corpus.batch(rows), None).mean())


def test_the_near_candidates_are_ordered_by_the_loss_with_each_switched() -> None:
    given, model, scores = searched()
    rows = given.held_out(0.5)
    structure = harden(scores, given.space, given.limits, given.tasks, "m")
    place = {candidate.id: index for index, candidate in enumerate(given.space.candidates)}
    inside = [place[candidate.id] for candidate in structure.candidates]
    order = scores[0].argsort(descending=True).tolist()
    last_in = [index for index in order if index in inside][-3:]
    first_out = [index for index in order if index not in inside][:3]
    whole = loss_with(given, model, inside, rows)
    worth = {i: loss_with(given, model, [j for j in inside if j != i], rows) - whole for i in last_in}
    worth |= {i: whole - loss_with(given, model, sorted([*inside, i]), rows) for i in first_out}
    worth = {i: value / given.space.candidates[i].parameters for i, value in worth.items()}

    dealt = check_cut(given, model, scores, torch.ones_like(scores), structure, rows, 3)
    near = [*last_in, *first_out]
    assert sorted(near, key=lambda i: -float(dealt[0, i])) == sorted(near, key=lambda i: -worth[i])
    assert sorted(dealt[0, near].tolist()) == sorted(scores[0, near].tolist())
    far = [index for index in order if index not in near]
    assert torch.equal(dealt[0, far], scores[0, far])


def test_tasks_keep_their_proportions_when_a_score_changes() -> None:
    _, _, scores = searched()
    both = problem(budget=1000)
    two = torch.cat([scores, 0.6 * scores])
    structure = harden(two, both.space, both.limits, both.tasks, "m")
    dealt = check_cut(both, both.model(), two, torch.ones_like(two), structure, both.held_out(0.5), 4)
    torch.testing.assert_close(dealt[1], 0.6 * dealt[0])


def test_the_held_out_loss_is_that_of_the_open_candidates_alone() -> None:
    given, model, _ = searched()
    rows = given.held_out(0.5)
    opened = torch.zeros(1, len(given.space.candidates))
    opened[0, [2, 5, 9]] = 1.0
    assert held_out_loss(given, model, opened, rows) == pytest.approx(
        loss_with(given, model, [2, 5, 9], rows), abs=1e-5
    )


def test_a_search_with_the_check_keeps_the_budget_and_finds_the_same_again() -> None:
    spec = budgeted(ablation={"candidates": 4})
    first = search_budgeted(problem(budget=1000), spec, "m").structure
    assert first == search_budgeted(problem(budget=1000), spec, "m").structure
    assert 936 < first.union <= 1000
