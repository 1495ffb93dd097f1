from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from problems import corpus, problem

from espalier_runtime import contract
from espalier_runtime.search.eva import VarianceProbe
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


@pytest.mark.parametrize("method", METHODS[:2], ids=lambda method: str(method.method))
def test_what_draws_noise_or_drops_tokens_in_training_does_not_disturb_the_scores(method: Any) -> None:
    def scores(*kinds: dict[str, object]) -> list[float]:
        lora: dict[str, object] = {"kind": "lora", "ranks": [1], "scale": 2.0}
        spec = contract.Space.model_validate({"slots": ["mlp"], "layers": None, "kinds": [lora, *kinds]})
        # A budget for everything, so that all scores are told.
        given = problem(tasks=1, space=spec, budget=10**6)
        structure = find_structure(given, method.model_copy(update={"layers": None}), 0).structure
        values = [
            score for one, score in zip(structure.candidates, structure.scores[0], strict=True) if one.kind == "lora"
        ]
        return [value / sum(values) for value in values]

    noisy: dict[str, object] = {"kind": "stochGrasp", "groups": [8], "start": 0.5}
    gate: dict[str, object] = {"kind": "tokenGate", "size": 2}
    assert scores(noisy, gate) == pytest.approx(scores(), rel=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
def test_eva_looks_at_every_token_whatever_the_head_reads(pooling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: dict[str, int] = {}
    explained = VarianceProbe.explained

    def counted(probe: VarianceProbe) -> torch.Tensor:
        counts[probe.site.name] = probe.count
        return explained(probe)

    monkeypatch.setattr(VarianceProbe, "explained", counted)
    given = replace(problem(tasks=1, pooling=pooling), corpus=corpus(1, packed=True))
    find_structure(given, METHODS[2].model_copy(update={"layers": None, "rows": 8}), 0)
    tokens = sum(len(tokens.input_ids) for row in given.sample(0, 8) for tokens in given.corpus.row(row))
    assert len(counts) == 18
    assert set(counts.values()) == {tokens}
