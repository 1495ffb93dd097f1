"""What a fit and the discretisation gap take over from a search."""

from __future__ import annotations

import pytest
import torch
from problems import budgeted, paper, paths, problem

from espalier_runtime.search.budgeted import search_budgeted
from espalier_runtime.search.paper import search_paper
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.training.model import AdaptedModel
from espalier_runtime.trials.fit import _take_searched


@pytest.mark.parametrize("method", ["paper", "paper, two paths", "budgeted without noise", "budgeted"])
def test_what_a_search_trained_under_soft_gates_goes_on_as_strong_as_it_was(method: str) -> None:
    given = problem(tasks=1, budget=1000, space=paths(2, ranks=[1, 2]) if "two" in method else None)
    if method.startswith("paper"):
        found = search_paper(given, paper(sparsity=5.0), "m")
    else:
        found = search_budgeted(given, budgeted(noise=method == "budgeted"), "m")
    assert found.model is not None
    assert found.soft is not None
    pool = AdapterPool(found.structure.candidates, given.space.kinds, 1)
    _take_searched(pool, found, found.model)
    taken = AdaptedModel(given.backbone, pool, [("task0", found.model.head(0))], "mean")

    chosen = {candidate.id for candidate in found.structure.candidates}
    kept = torch.tensor([[candidate.id in chosen for candidate in found.model.pool.candidates]])
    # Draws of 0 and 1 train a weight for an open gate.
    trained_under = (torch.ones_like(found.soft) if method == "budgeted" else found.soft) * kept
    batch = given.corpus.batch(range(8))
    with torch.no_grad():
        with found.model.adapters.attached(given.backbone.model):
            wanted = found.model.outputs(batch, trained_under)
        with pool.attached(given.backbone.model):
            found_now = taken.outputs(batch, found.structure.gates())
    torch.testing.assert_close(found_now, wanted, atol=1e-5, rtol=1e-4)
