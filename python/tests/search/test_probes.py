from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from problems import problem

from espalier_runtime import contract
from espalier_runtime.search.methods import find_structure
from espalier_runtime.search.problem import SearchProblem
from espalier_runtime.training.prefix_cache import PrefixCache

METHODS = [
    contract.SaliencyMethod(method="saliency", name="saliency", fit="retrain", batches=2, layers=1),
    contract.FisherMethod(method="fisher", name="fisher", fit="retrain", rows=4, layers=1),
    contract.EvaMethod(method="eva", name="eva", fit="retrain", rows=4, layers=1),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: str(method.method))
def test_a_search_of_the_last_layer_finds_the_same_from_kept_states(method: Any, tmp_path: Path) -> None:
    computed, kept = problem(tasks=1), problem(tasks=1)
    kept.corpus.cache = PrefixCache(kept.backbone, 1 << 30, "float32", tmp_path)
    wanted = found_by(computed, method)
    assert found_by(kept, method) == wanted

    below = kept.backbone.model.get_submodule("encoder.layer.0.attention.self.query")
    below.register_forward_pre_hook(lambda *_: pytest.fail("a layer below the space was computed again"))
    assert found_by(kept, method) == wanted


def found_by(given: SearchProblem, method: Any) -> list[str]:
    return [candidate.id for candidate in find_structure(given, method, 0).structure.candidates]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: str(method.method))
def test_a_search_without_training_works_under_bfloat16_and_keeps_the_budget(method: Any) -> None:
    given = problem(budget=500, dtype="bfloat16")
    found = find_structure(given, method, 0).structure
    assert 500 - 64 < found.union <= 500
