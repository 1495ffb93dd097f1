from __future__ import annotations

from collections import Counter

from problems import problem

from espalier_runtime.search.fixed import draw_random, nothing, top_layers, uniform


def test_uniform_gives_every_site_its_first_rank_before_any_its_second() -> None:
    given = problem()
    first_ranks = sum(c.parameters for c in given.space.candidates if c.level == 0)
    found = uniform(problem(budget=first_ranks), None, "uniform").structure
    assert {c.level for c in found.candidates} == {0}
    assert found.union == first_ranks
    assert len(found.candidates) == 18
    more = uniform(problem(budget=first_ranks + 200), None, "uniform").structure
    assert Counter(c.level for c in more.candidates) == {0: 18, 1: 3}
    assert {c.site.layer for c in more.candidates if c.level == 1} == {2}


def test_top_layers_leaves_the_others_alone() -> None:
    found = top_layers(problem(budget=1500), 1, None, "top").structure
    assert {c.site.layer for c in found.candidates} == {2}
    assert found.union <= 1500


def test_random_depends_on_the_draw_and_not_on_the_seed() -> None:
    first = draw_random(problem(), 0, "random").structure
    assert first == draw_random(problem(), 0, "random").structure
    assert first.candidates != draw_random(problem(), 1, "random").structure.candidates
    assert 1000 - 64 < first.union <= 1000


def test_the_head_alone_adapts_nothing() -> None:
    found = nothing(problem(), "head").structure
    assert (found.union, found.candidates, found.rows) == (0, (), ((), ()))
    assert found.gates().shape == (2, 0)


def test_all_tasks_share_a_fixed_structure() -> None:
    found = uniform(problem(), None, "uniform").structure
    assert all(all(row) for row in found.rows)
    assert found.parameters("task0") == found.parameters("task1") == found.union
