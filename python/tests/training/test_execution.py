from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch
from conftest import tiny
from problems import heads, problem, training
from torch import nn

from espalier_runtime.backbone.load import Backbone
from espalier_runtime.errors import InputError
from espalier_runtime.search.problem import SearchProblem
from espalier_runtime.structure.gates import FixedGates
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.training.checkpoint import Checkpoint
from espalier_runtime.training.execution import Execution, check_execution, execution_of
from espalier_runtime.training.loop import Report, train
from espalier_runtime.training.model import AdaptedModel
from espalier_runtime.training.prefix_cache import PrefixCache

CPU = torch.device("cpu")


def fitted(
    given: SearchProblem,
    execution: Execution,
    report: Report = lambda step, steps, loss: None,
    checkpoint: Checkpoint | None = None,
) -> tuple[AdaptedModel, list[float]]:
    """A fit of every candidate, and its losses."""
    pool = AdapterPool(given.space.candidates, given.space.kinds, 0)
    model = AdaptedModel(given.backbone, pool, heads(2), "mean", execution)
    done = train(
        model,
        given.corpus,
        FixedGates(None),
        given.training,
        seed=0,
        epochs=given.training.epochs,
        report=report,
        checkpoint=checkpoint,
    )
    return model, done.losses


def test_auto_is_float32_on_the_cpu_and_bfloat16_where_cuda_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = torch.device("cuda")
    assert execution_of(training(), CPU).dtype == torch.float32
    assert execution_of(training(dtype="bfloat16"), CPU).dtype == torch.bfloat16
    for has, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, has=has: has)
        assert execution_of(training(), cuda).dtype == dtype
    assert execution_of(training(dtype="float32"), cuda).dtype == torch.float32


def test_a_gpu_without_bfloat16_is_told_of_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla P100")
    with pytest.raises(InputError, match='training.dtype: "bfloat16" was asked for, but Tesla P100 does not'):
        check_execution(training(dtype="bfloat16"), torch.device("cuda"))


def test_a_fit_in_bfloat16_learns_what_one_in_float32_does_and_keeps_float32_weights() -> None:
    exact = fitted(problem(epochs=3), Execution())[1]
    model, losses = fitted(problem(epochs=3), Execution(torch.bfloat16))
    assert losses != exact
    assert losses[:5] == pytest.approx(exact[:5], abs=0.02)
    assert sum(losses[-5:]) < sum(losses[:5])
    assert {weight.dtype for weight in model.trained()} == {torch.float32}


def test_what_a_fit_in_bfloat16_predicts_is_computed_in_float32() -> None:
    given = problem(epochs=1)
    model, _ = fitted(given, Execution(torch.bfloat16))
    plain = AdaptedModel(
        given.backbone, model.adapters, [(name, model.head(i)) for i, name in enumerate(given.tasks)], "mean"
    )
    batch = given.corpus.batch([0, 1, 2])
    with model.adapters.attached(given.backbone.model):
        assert torch.equal(model.outputs(batch, None), plain.outputs(batch, None))


@pytest.mark.parametrize(
    "execution", [Execution(torch.bfloat16), Execution(checkpointing=True)], ids=["bf16", "recompute"]
)
def test_the_same_seed_gives_the_same_losses_bit_for_bit(execution: Execution) -> None:
    assert fitted(problem(), execution)[1] == fitted(problem(), execution)[1]


def test_a_fit_that_was_stopped_goes_on_bit_for_bit(tmp_path: Path) -> None:
    execution = Execution(torch.bfloat16, checkpointing=True)
    whole, losses = fitted(problem(), execution)

    def stop(step: int, steps: int, loss: float) -> None:
        if step == 5:
            raise KeyboardInterrupt

    path = tmp_path / "fit.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fitted(problem(), execution, stop, Checkpoint(path))
    resumed, again = fitted(problem(), execution, checkpoint=Checkpoint(path))
    assert again == losses
    assert all(torch.equal(a, b) for a, b in zip(resumed.trained(), whole.trained(), strict=True))


def test_a_checkpointed_fit_is_the_plain_one_bit_for_bit() -> None:
    assert fitted(problem(), Execution(checkpointing=True))[1] == fitted(problem(), Execution())[1]


def test_only_fits_are_compiled() -> None:
    asked = training(compile=True)
    assert execution_of(asked, CPU, fit=True).compiled
    assert not execution_of(asked, CPU).compiled


def test_a_compiled_fit_is_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    # What is captured is checked; to make machine code of it takes a minute.
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager", fullgraph=True))
    same = {"epochs": 1, "maxSteps": 4}
    compiled = fitted(problem(**same), Execution(compiled=True))[1]
    assert compiled == pytest.approx(fitted(problem(**same), Execution())[1], abs=1e-5)


def test_a_machine_without_a_compiler_is_told_of_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    check_execution(training(compile=True), CPU)
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("no-such-compiler",))
    with pytest.raises(InputError, match="training.compile: torch.compile needs a C\\+\\+ compiler, and there is none"):
        check_execution(training(compile=True), CPU)


def test_minilm_in_bfloat16_has_losses_near_the_exact_ones(minilm: Backbone) -> None:
    given = problem()
    model = AdaptedModel(minilm, AdapterPool((), given.space.kinds, 0), heads(2), "mean", Execution(torch.bfloat16))
    for _, head in model.heads.items():
        head.linear = nn.Linear(minilm.hidden, 2)  # type: ignore[assignment]
    batch = given.corpus.batch([0, 1, 24, 25])
    with torch.no_grad():
        rounded = model.losses(batch, None)
        model.execution = Execution()
        torch.testing.assert_close(rounded, model.losses(batch, None), atol=0.02, rtol=0.02)
    assert rounded.dtype == torch.float32


def test_no_family_fails_in_bfloat16(family: str) -> None:
    if family == "vit":
        pytest.skip("its batches are images")
    given = problem(epochs=1)
    backbone = tiny(family)
    with torch.no_grad():
        model = AdaptedModel(
            backbone, AdapterPool((), given.space.kinds, 0), heads(2), "mean", Execution(torch.bfloat16)
        )
        for head in model.heads.values():
            head.linear = nn.Linear(backbone.hidden, 2)  # type: ignore[assignment]
        assert torch.isfinite(model.losses(given.corpus.batch([0, 1, 24, 25]), None)).all()


def test_the_backbone_drops_out_in_training_steps_alone_and_where_it_is_asked_for() -> None:
    given = problem(epochs=1)
    assert given.backbone.model.config.hidden_dropout_prob > 0
    pool = AdapterPool(given.space.candidates, given.space.kinds, 0)
    batch = given.corpus.batch(range(4))
    for execution in (Execution(), Execution(dropout=True)):
        model = AdaptedModel(given.backbone, pool, heads(2), "mean", execution)
        with pool.attached(given.backbone.model):
            # Zero heads would answer alike to all states.
            with torch.no_grad():
                for parameter in model.heads.parameters():
                    parameter.fill_(0.1).mul_(torch.arange(parameter.numel()).view(parameter.shape).cos())
            once, again = (model.losses(batch, None).detach() for _ in range(2))
            with torch.no_grad():
                still = model.losses(batch, None)
        assert torch.equal(once, again) == (not execution.dropout)
        assert torch.equal(still, once) == (not execution.dropout)
        assert not any(module.training for module in given.backbone.model.modules())


def test_what_a_backbone_with_dropout_gives_is_computed_anew_in_every_step(tmp_path: Path) -> None:
    given = problem(epochs=1)
    given.corpus.cache = PrefixCache(given.backbone, 1 << 30, "float32", tmp_path)
    top = [one for one in given.space.candidates if one.site.layer == given.backbone.layers - 1]
    pool = AdapterPool(top, given.space.kinds, 0)
    for execution in (Execution(), Execution(dropout=True)):
        model = AdaptedModel(given.backbone, pool, heads(2), "mean", execution)
        entering = model.readable(given.corpus).batch([0]).inputs.entering
        assert (entering is None) == execution.dropout
