"""Rows without padding train as padded rows do."""

from __future__ import annotations

import copy

import pytest
import torch
from problems import problem

from espalier_runtime.structure.gates import FixedGates
from espalier_runtime.training.evaluate import predict
from espalier_runtime.training.loop import train


def test_sixty_steps_without_padding_are_those_with_padding() -> None:
    losses, outputs = [], []
    for packed in (True, False):
        given = problem(tasks=2, epochs=10)
        corpus = copy.copy(given.corpus)
        corpus.packed = packed
        model = given.model()
        rows = torch.rand(2, len(given.space.candidates), generator=torch.Generator().manual_seed(5))
        done = train(
            model, corpus, FixedGates(rows), given.training, seed=0, epochs=10, report=lambda step, steps, loss: None
        )
        losses.append(done.losses)
        own = corpus.without(corpus.of_task(1))
        outputs.append(torch.from_numpy(predict(model, own, rows, "accuracy", 40).outputs))
    assert len(losses[0]) == 60
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    torch.testing.assert_close(outputs[0], outputs[1], atol=1e-4, rtol=0)
