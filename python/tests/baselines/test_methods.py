"""Every baseline on the same path: it trains, tells its tasks apart where it should, and leaves the backbone alone."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import inputs, padded, tiny
from problems import problem, training
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.baselines.adalora import AdaLora
from espalier_runtime.baselines.methods import Baseline, build
from espalier_runtime.baselines.target import Target
from espalier_runtime.errors import InputError
from espalier_runtime.search.fixed import separate, uniform
from espalier_runtime.search.problem import SearchProblem
from espalier_runtime.structure.gates import FixedGates
from espalier_runtime.training.checkpoint import Checkpoint
from espalier_runtime.training.loop import train
from espalier_runtime.training.model import AdaptedModel

METHODS: dict[str, Baseline] = {
    "full": contract.FullMethod(method="full"),
    "bitFit": contract.BitFitMethod(method="bitFit"),
    "lora": contract.PeftLoraMethod(method="peftLora", rank=2, scale=2.0),
    "adaLora": contract.AdaLoraMethod(
        method="adaLora", rank=2, scale=2.0, startFactor=2, warmup=0.1, settled=0.3, orthogonality=0.5
    ),
    "prefix": contract.PrefixMethod(method="prefix", tokens=3),
    "ia3": contract.Ia3Method(method="ia3"),
    "adapterFusion": contract.AdapterFusionMethod(method="adapterFusion", size=2, attention=3),
    "polytropon": contract.PolytroponMethod(method="polytropon", skills=3, rank=2),
}


@pytest.fixture(params=sorted(METHODS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def fitted(given: SearchProblem, target: Target, **changes: object) -> AdaptedModel:
    model = target.model(given.backbone, target.adapters, given.new_heads(), "mean")
    settings = training(epochs=4, **changes)
    torch.manual_seed(0)
    train(model, given.corpus, FixedGates(target.rows), settings, seed=0, epochs=4, report=lambda *_: None)
    return model


def outputs(model: AdaptedModel, rows: Tensor | None, given: SearchProblem, task: int = 0) -> Tensor:
    model.eval()
    with model.adapters.attached(given.backbone.model):
        return model.outputs(given.corpus.batch(given.corpus.of_task(task)), rows)


def states(backbone: Backbone) -> Tensor:
    ids, mask = inputs()
    with torch.no_grad():
        return backbone.states(padded(ids, mask))


def test_a_baseline_learns_and_leaves_the_backbone_as_it_was(name: str) -> None:
    given = problem()
    weights = copy.deepcopy(given.backbone.model.state_dict())
    before = states(given.backbone)
    target = build(given, METHODS[name])
    model = target.model(given.backbone, target.adapters, given.new_heads(), "mean")
    losses = train(
        model,
        given.corpus,
        FixedGates(target.rows),
        training(epochs=4, learningRate=0.003),
        seed=0,
        epochs=4,
        report=lambda *_: None,
    ).losses
    assert sum(losses[-4:]) < sum(losses[:4])
    after = given.backbone.model.state_dict()
    assert after.keys() == weights.keys()
    assert all(torch.equal(after[key], weights[key]) for key in weights)
    assert torch.equal(states(given.backbone), before)
    assert not any(weight.requires_grad for weight in given.backbone.model.parameters())


def test_the_same_seed_gives_the_same_model_and_saved_weights_give_its_outputs(name: str) -> None:
    given = problem()
    first = build(given, METHODS[name])
    model = fitted(given, first)
    other = fitted(given, build(given, METHODS[name]))
    expected = outputs(model, first.rows, given)
    assert torch.equal(expected, outputs(other, first.rows, given))
    blank = build(given, METHODS[name], prepared=False)
    loaded = blank.model(given.backbone, blank.adapters, given.new_heads(), "mean")
    assert not torch.equal(expected, outputs(loaded, blank.rows, given))
    loaded.adapters.load_state_dict(model.adapters.state_dict())
    loaded.heads.load_state_dict(model.heads.state_dict())
    assert torch.equal(expected, outputs(loaded, blank.rows, given))
    assert blank.parameters == first.parameters


def peft_count(model: torch.nn.Module, config: Any) -> int:
    from peft import get_peft_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return int(get_peft_model(copy.deepcopy(model), config).get_nb_trainable_parameters()[0])


def test_parameters_are_counted_as_peft_counts_them() -> None:
    from peft import AdaLoraConfig, IA3Config, LoraConfig, PolyConfig, PrefixTuningConfig

    given = problem()
    model = given.backbone.model
    linears = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]
    expected = {
        "lora": peft_count(model, LoraConfig(r=2, target_modules=linears)),
        "adaLora": peft_count(model, AdaLoraConfig(init_r=4, target_r=2, total_step=9, target_modules=linears)),
        "prefix": peft_count(model, PrefixTuningConfig(task_type="FEATURE_EXTRACTION", num_virtual_tokens=3)),
        "ia3": peft_count(
            model,
            IA3Config(target_modules=r".*(key|value|\d\.output\.dense)", feedforward_modules=r".*\d\.output\.dense"),
        ),
        "polytropon": peft_count(model, PolyConfig(r=2, n_tasks=2, n_skills=3, n_splits=1, target_modules=linears)),
    }
    assert {name: build(given, METHODS[name]).union for name in expected} == expected
    assert build(given, METHODS["full"]).union == given.backbone.parameters
    assert build(given, METHODS["bitFit"]).union == sum(
        weight.numel() for name, weight in model.named_parameters() if name.endswith("bias")
    )


def roberta_base() -> SearchProblem:
    """RoBERTa-base's shapes without its weights."""
    import dataclasses

    from transformers import AutoConfig, AutoModel

    from espalier_runtime.backbone.load import Backbone
    from espalier_runtime.backbone.sites import find_sites, form_of

    config = AutoConfig.for_model("roberta", vocab_size=50265, max_position_embeddings=514, type_vocab_size=1)
    with torch.device("meta"):
        model = AutoModel.from_config(config).requires_grad_(False)
    sites = find_sites(model)
    count = sum(weight.numel() for weight in model.parameters())
    backbone = Backbone(model, None, "roberta", form_of(model), "roberta-base shapes", sites, 12, 768, count, "")
    return dataclasses.replace(problem(), backbone=backbone, tasks=("mnli", "boolq"))


def test_prefix_and_adapter_fusion_have_the_papers_shares_of_roberta_base() -> None:
    given = roberta_base()
    whole = given.backbone.parameters
    assert whole == 124_645_632
    prefix = contract.PrefixMethod(method="prefix", tokens=34)
    assert build(given, prefix).union == 2 * 12 * 768 * 34
    assert build(given, prefix).union / whole == pytest.approx(0.005, rel=0.01)
    fusion = contract.AdapterFusionMethod(method="adapterFusion", size=48, attention=20)
    target = build(given, fusion, prepared=False)
    # A task: its own queries and keys, and all tasks' bottlenecks.
    assert target.union == 12 * 2 * (2 * 768 * 48 + 2 * 768 * 20)
    assert target.parameters["mnli"] == 12 * (2 * 2 * 768 * 48 + 2 * 768 * 20)
    assert target.union / whole == pytest.approx(0.02, rel=0.01)


def test_ranks_that_are_not_given_fill_the_budget() -> None:
    given = problem(budget=6000)
    a_rank = 3 * (4 * 64 + 2 * 80)
    for method, a_unit in (
        (contract.PeftLoraMethod(method="peftLora", scale=2.0), a_rank),
        (contract.PrefixMethod(method="prefix"), 2 * 3 * 32),
    ):
        assert build(given, method).union == 6000 // a_unit * a_unit
    small = build(problem(budget=10), contract.PeftLoraMethod(method="peftLora", scale=2.0))
    assert small.union == a_rank


def test_polytropon_and_fusion_treat_tasks_differently_in_one_batch() -> None:
    given = problem()
    for name in ("polytropon", "adapterFusion"):
        target = build(given, METHODS[name])
        assert target.rows is not None
        model = fitted(given, target).eval()
        batch = given.corpus.batch([0, 1, 24, 25])
        with torch.no_grad(), model.adapters.attached(given.backbone.model):
            mixed = model.pooled(batch, target.rows)
            other = model.pooled(batch, target.rows.flip(0))
            alone = model.pooled(given.corpus.batch([24, 25]), target.rows)
        assert torch.allclose(mixed[2:], alone, atol=1e-6)
        assert not torch.equal(mixed, other)


def test_adalora_ends_at_its_final_ranks_whatever_the_number_of_steps() -> None:
    given = problem()
    for steps in (12, 23):
        target = build(given, METHODS["adaLora"])
        fitted(given, target, maxSteps=steps)
        assert isinstance(target.adapters, AdaLora)
        assert target.adapters.kept_ranks() == 2 * 18


def test_the_regulariser_of_adalora_is_in_the_loss_once() -> None:
    given = problem()
    target = build(given, METHODS["adaLora"])
    model = target.model(given.backbone, target.adapters, given.new_heads(), "mean")
    plain = AdaptedModel(given.backbone, target.adapters, given.new_heads(), "mean")
    batch = given.corpus.batch([0, 1, 2])
    with model.adapters.attached(given.backbone.model):
        assert isinstance(target.adapters, AdaLora)
        expected = plain.losses(batch, None).mean() + target.adapters.penalty()
        assert torch.allclose(model.losses(batch, None).mean(), expected)


def test_token_types_reach_a_model_with_a_prefix() -> None:
    given = problem()
    target = build(given, METHODS["prefix"])
    ids, mask = inputs()
    with torch.no_grad(), target.adapters.attached(given.backbone.model):
        first = given.backbone.states(padded(ids, mask, torch.zeros_like(ids)))
        second = given.backbone.states(padded(ids, mask, torch.ones_like(ids)))
    assert not torch.allclose(first, second)


def test_a_family_that_takes_no_prefix_is_named() -> None:
    import dataclasses

    given = dataclasses.replace(problem(), backbone=tiny("mpnet"))
    with pytest.raises(InputError, match="prefix tuning needs .* mpnet does not"):
        build(given, METHODS["prefix"])


def test_separate_gives_each_task_the_uniform_structure_of_its_share_with_units_of_its_own() -> None:
    given = problem(budget=3000)
    share = uniform(problem(budget=1500), None, "uniform").structure
    found = separate(given, None, "separate").structure
    assert found.parameters("task0") == found.parameters("task1") == share.union
    assert found.union == 2 * share.union
    own = [{(c.site.name, u) for c in found.of_task(t) for u in range(c.start, c.start + c.size)} for t in found.tasks]
    assert not own[0] & own[1]


@pytest.mark.parametrize("name", ["adaLora", "polytropon", "full"])
def test_a_stopped_fit_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    given = problem()

    def fit(folder: str, stop_at: int | None = None) -> Tensor:
        def report(step: int, _steps: int, _loss: float) -> None:
            if step == stop_at:
                raise KeyboardInterrupt

        target = build(given, METHODS[name])
        model = target.model(given.backbone, target.adapters, given.new_heads(), "mean")
        torch.manual_seed(0)
        checkpoint = Checkpoint(tmp_path / folder / "fit.safetensors", seconds=0)
        gates = FixedGates(target.rows)
        settings = training(epochs=4)
        train(model, given.corpus, gates, settings, seed=0, epochs=4, report=report, checkpoint=checkpoint)
        return outputs(model, target.rows, given)

    expected = fit("whole")
    with pytest.raises(KeyboardInterrupt):
        fit("stopped", stop_at=14)
    assert torch.equal(fit("stopped"), expected)
