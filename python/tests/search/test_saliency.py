from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from problems import problem

from espalier_runtime import contract
from espalier_runtime.search.methods import find_structure
from espalier_runtime.search.saliency import _probe_gradients, candidate_values, search_saliency
from espalier_runtime.tasks.corpus import Batch


def saliency(batches: int = 2) -> contract.SaliencyMethod:
    return contract.SaliencyMethod(method="saliency", name="saliency", fit="retrain", batches=batches)


def test_the_probes_gradient_is_that_of_the_frozen_weight() -> None:
    given = problem(tasks=1)
    gradients, _, _ = _probe_gradients(given, saliency(1), 0)
    model = given.model()
    weight = given.backbone.model.get_parameter("encoder.layer.1.intermediate.dense.weight").requires_grad_()

    batch = given.corpus.batches(range(len(given.corpus)), given.training.batch_size, given.seed, 0)[0]
    model.losses(given.corpus.batch(batch), None).mean().backward()
    assert weight.grad is not None
    torch.testing.assert_close(gradients["layers.1.mlp.up", "lora"], weight.grad, atol=1e-6, rtol=1e-4)


def test_a_chunk_is_worth_its_singular_values_per_parameter() -> None:
    given = problem(tasks=1)
    places = {(c.site.name, c.kind) for c in given.space.candidates}
    diagonal = torch.zeros(48, 48)
    diagonal[range(4), range(4)] = torch.tensor([5.0, 3.0, 2.0, 1.0])
    values = candidate_values(given, dict.fromkeys(places, diagonal), {})
    chunks = [
        (c, float(v)) for c, v in zip(given.space.candidates, values, strict=True) if c.site.name == "layers.0.mlp.up"
    ]
    # scale 2; ranks 1, 2, 3-4; 80 parameters a rank
    assert [v for _, v in chunks] == pytest.approx([2 * 5 / 80, 2 * 3 / 80, 2 * 3 / 160])


def test_finds_a_structure_within_the_budget_and_leaves_the_model_untouched() -> None:
    given = problem()
    found = search_saliency(given, saliency(), "saliency")
    assert 936 < found.structure.union <= 1000
    assert found.steps == 4
    assert not any("forward" in vars(module) for module in given.backbone.model.modules())
    assert all(weight.grad is None for weight in given.backbone.model.parameters())


def test_kinds_of_every_form_are_scored() -> None:
    kinds = [{"kind": "lora", "ranks": [1], "scale": 2.0}, {"kind": "parallel", "sizes": [2], "activation": "relu"}]
    kinds += [{"kind": "ia3"}, {"kind": "bitfit"}, {"kind": "normTuning"}, {"kind": "tarp", "ranks": [1], "scale": 2.0}]
    kinds += [{"kind": "grasp", "groups": [4], "grouping": "permuted"}]
    given = problem(
        tasks=1, space=contract.Space.model_validate({"slots": ["attention", "mlp"], "layers": None, "kinds": kinds})
    )
    gradients, norms, _ = _probe_gradients(given, saliency(1), 0)
    values = candidate_values(given, gradients, norms)
    scored = {c.kind for c, value in zip(given.space.candidates, values, strict=True) if value > 0}
    assert scored == {"lora", "parallel", "ia3", "bitfit", "normTuning", "tarp", "grasp"}


def test_a_search_of_the_last_layers_adapts_no_other_and_fills_the_budget_there() -> None:
    given = problem(tasks=1)
    found = find_structure(given, saliency().model_copy(update={"layers": 1}), 0)
    assert {candidate.site.layer for candidate in found.structure.candidates} == {2}
    assert given.budget - 80 < found.structure.union <= given.budget


def test_no_more_tokens_than_allowed_go_through_at_once_and_the_scores_stay() -> None:
    def searched(max_tokens: int) -> tuple[torch.Tensor, int]:
        given = problem(tasks=1, maxTokens=max_tokens)
        most = 0
        batch = given.corpus.batch

        def seen(rows: Sequence[int]) -> Batch:
            nonlocal most
            most = max(most, given.corpus.tokens(rows))
            return batch(rows)

        given.corpus.batch = seen  # type: ignore[method-assign]
        gradients, norms, _ = _probe_gradients(given, saliency(2), 0)
        return candidate_values(given, gradients, norms), most

    whole, _ = searched(4096)
    parts, most = searched(20)
    assert most <= 20
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-9)
