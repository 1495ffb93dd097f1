from __future__ import annotations

from collections import defaultdict

import torch
from problems import paths, problem

from espalier_runtime import contract
from espalier_runtime.search.budgeted import BudgetedGates
from espalier_runtime.search.learnable_rank import RankLogits, search_learnable_rank
from espalier_runtime.structure.budget import spent


def learnable_rank(**changes: object) -> contract.LearnableRankMethod:
    given = {"method": "learnableRank", "name": "learnableRank", "temperature": [1.0, 0.25]}
    return contract.LearnableRankMethod.model_validate({**given, **changes})


def test_a_chunk_s_logit_is_how_far_the_rank_reaches_past_its_middle() -> None:
    given = problem()
    logits = RankLogits(2, given.space.candidates)
    assert logits.ranks().shape == (2, 18)
    assert logits()[0, :6].tolist() == [-0.5, -1.5, -2.5, -0.5, -1.5, -2.5]
    with torch.no_grad():
        logits.ranks.shared[1] = 2.0
        logits.ranks.delta[1, 1] = 1.0
    assert logits()[0, 3:6].tolist() == [1.5, 0.5, -0.5]
    assert logits()[1, 3:6].tolist() == [2.5, 1.5, 0.5]


def test_each_path_of_a_site_has_a_rank_of_its_own() -> None:
    given = problem(space=paths(2))
    logits = RankLogits(1, given.space.candidates)
    assert logits.ranks().shape == (1, 36)
    assert logits()[0, :6].tolist() == [-0.5, -1.5, -2.5, -0.5, -1.5, -2.5]


def test_every_step_spends_the_budget_with_lower_chunks_first() -> None:
    given = problem(budget=1000)
    logits = RankLogits(2, given.space.candidates)
    gates = BudgetedGates(2, given.costs(), 1000, learnable_rank(), seed=0, logits=logits)
    z = gates.open(9, 10)
    assert abs(spent(z, given.costs()) - 1000) < 0.1
    by_place = z[0].view(18, 3)
    assert bool((by_place[:, 0] > by_place[:, 1]).all())
    assert bool((by_place[:, 1] > by_place[:, 2]).all())


def test_the_structure_has_a_rank_at_each_place_and_meets_the_budget() -> None:
    found = search_learnable_rank(problem(budget=1000), learnable_rank(gateLearningRate=0.2), "learnableRank")
    assert 936 < found.structure.union <= 1000
    again = search_learnable_rank(problem(budget=1000), learnable_rank(gateLearningRate=0.2), "learnableRank")
    assert found.structure == again.structure
    chunks: dict[str, list[int]] = defaultdict(list)
    for candidate in found.structure.candidates:
        chunks[candidate.site.name].append(candidate.level)
    # The last of a budget may go to a lower-ranked chunk that still fits, but none leaves out a cheaper one before it.
    assert all(levels == list(range(len(levels))) for levels in chunks.values())
