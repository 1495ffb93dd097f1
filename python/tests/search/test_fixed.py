from __future__ import annotations

from collections import Counter

import pytest
import torch
from adapters.test_kinds import KINDS
from problems import heads, problem

from espalier_runtime import contract
from espalier_runtime.errors import TrialError
from espalier_runtime.search.fixed import draw_random, nothing, separate, top_layers, uniform
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.training.model import AdaptedModel


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


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_an_adapter_a_task_changes_what_each_task_reads(kind: str) -> None:
    given = problem(budget=10**6, space=contract.Space.model_validate(KINDS[kind]))
    found = separate(given, "all", "separate").structure
    pool = AdapterPool(found.candidates, given.space.kinds, 0).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in pool.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    model = AdaptedModel(given.backbone, pool, heads(2), "mean")
    with torch.no_grad(), pool.attached(given.backbone.model):
        for task in range(2):
            batch = given.corpus.batch(given.corpus.of_task(task)[:8])
            adapted, bare = (model.pooled(batch, gates) for gates in (found.gates(), torch.zeros_like(found.gates())))
            assert float((adapted - bare).abs().max()) > 1e-6


def test_a_budget_that_none_of_a_baselines_adapters_fits_ends_its_trial() -> None:
    kinds = [{"kind": "bottleneck", "sizes": [8]}, {"kind": "lora", "ranks": [1]}]
    space = contract.Space.model_validate({"slots": ["attention"], "layers": None, "kinds": kinds})
    given = problem(budget=100, space=space)
    assert uniform(given, "lora", "uniform").structure.union == 64
    for found in (uniform, lambda *given: top_layers(given[0], 1, *given[1:]), separate):
        with pytest.raises(TrialError, match="^m: no bottleneck fits the budget") as caught:
            found(given, None, "m")
        assert "Raise the budget" in str(caught.value.mend)
    with pytest.raises(TrialError, match="^m: no lora fits the budget"):
        separate(given, "lora", "m")
