from __future__ import annotations

import math

import pytest
import torch
from problems import problem

from espalier_runtime import contract
from espalier_runtime.errors import TrialError
from espalier_runtime.structure.gates import FixedGates
from espalier_runtime.tasks.corpus import Batch
from espalier_runtime.training.loop import TrainReport, _mean_loss, train
from espalier_runtime.training.model import AdaptedModel


def fit(held_out: list[int] | None = None, **changes: object) -> tuple[AdaptedModel, TrainReport]:
    given = problem(**changes)
    model = given.model()
    rows = torch.ones(2, len(given.space.candidates), dtype=torch.bool)
    done = train(
        model,
        given.corpus,
        FixedGates(rows),
        given.training,
        seed=0,
        epochs=given.training.epochs,
        report=lambda step, steps, loss: None,
        held_out=held_out or (),
    )
    return model, done


def test_learns_the_training_rows() -> None:
    _, done = fit(epochs=30)
    assert sum(done.losses[-5:]) / 5 < 0.3 < math.log(2) < done.losses[0] + 0.2


def test_the_same_seed_gives_the_same_losses_bit_for_bit() -> None:
    assert fit()[1].losses == fit()[1].losses


def test_a_batch_in_parts_gives_the_gradient_of_the_whole() -> None:
    whole = fit(epochs=1)[1].losses
    parts = fit(epochs=1, maxTokens=16)[1].losses
    assert parts == pytest.approx(whole, abs=1e-5)


def test_only_adapters_and_heads_move() -> None:
    given = problem(epochs=1)
    before = {name: value.clone() for name, value in given.backbone.model.state_dict().items()}
    model = given.model()
    fixed = FixedGates(torch.ones(2, len(given.space.candidates), dtype=torch.bool))
    started = [value.clone() for value in model.trained()]
    given.train(model, fixed, None)
    assert all(torch.equal(before[name], value) for name, value in given.backbone.model.state_dict().items())
    assert all(not torch.equal(was, now) for was, now in zip(started, model.trained(), strict=True))


def test_a_loss_that_is_not_finite_ends_the_trial_with_step_and_rows() -> None:
    given = problem()
    model = given.model()
    with torch.no_grad():
        model.head(0).linear.bias.fill_(float("inf"))
    said = r"the loss at step 1 of 12 is (nan|inf); that of these rows is not finite: (task0#\d+(, |$))+$"
    with pytest.raises(TrialError, match=said):
        given.train(model, FixedGates(torch.ones(2, len(given.space.candidates), dtype=torch.bool)), None)


@pytest.mark.parametrize("held_out", [[], [0, 24, 25, 26]])
def test_the_row_at_fault_is_numbered_as_in_its_task_whatever_is_held_out(held_out: list[int]) -> None:
    given = problem()
    given.corpus.labels[30] = 1.5
    model = given.model()
    within = model.losses

    def losses(batch: Batch, gates: torch.Tensor | None) -> torch.Tensor:
        return within(batch, gates).masked_fill(batch.labels == 1.5, float("nan"))

    model.losses = losses  # type: ignore[method-assign]
    fixed = FixedGates(torch.ones(2, len(given.space.candidates), dtype=torch.bool))
    with pytest.raises(TrialError, match="that of these rows is not finite: task1#7$"):
        given.train(model, fixed, None, held_out)


@pytest.mark.parametrize("kind", [{"kind": "stochGrasp", "groups": [8]}, {"kind": "tokenGate"}], ids=str)
def test_a_held_out_loss_is_read_without_the_noise_that_a_kind_trains_under(kind: dict[str, object]) -> None:
    spec = contract.Space.model_validate({"slots": ["mlp"], "layers": None, "kinds": [kind]})
    given = problem(space=spec)
    model = given.model().train()
    rows = list(range(len(given.corpus)))
    with model.adapters.attached(model.backbone.model):
        first, again = (_mean_loss(model, given.corpus, [rows], FixedGates(None)) for _ in range(2))
    assert first == again
    assert model.training


def test_early_stopping_goes_back_to_the_lowest_held_out_loss() -> None:
    held_out = [0, 1, 2, 3, 24, 25, 26, 27]
    # Without a warm-up, whose length depends on the number of steps, both fits take the same way.
    same = {"learningRate": 0.05, "schedule": "constant", "warmup": 0.0}
    model, done = fit(held_out, epochs=60, earlyStopping={"fraction": 0.1, "patience": 2}, **same)
    assert done.stopped_early
    assert len(done.losses) < 60 * 5
    given = problem()
    with torch.no_grad(), model.adapters.attached(model.backbone.model):
        kept = float(model.losses(given.corpus.batch(held_out), None).mean())
    # The weights two epochs later, at which it stopped, must be worse: train again to that very epoch without stopping.
    later, _ = fit(held_out, epochs=len(done.losses) / 5, **same)
    with torch.no_grad(), later.adapters.attached(later.backbone.model):
        assert kept < float(later.losses(given.corpus.batch(held_out), None).mean())
