from __future__ import annotations

import pytest
from problems import training

from espalier_runtime.training.schedule import learning_rate_at, step_count


def test_counts_steps_by_epochs_and_stops_at_the_most_allowed() -> None:
    assert step_count(100, training(batchSize=32), 2) == 8
    assert step_count(100, training(batchSize=32), 0.5) == 2
    assert step_count(10, training(batchSize=32), 0.01) == 1
    assert step_count(100, training(batchSize=32, maxSteps=5), 2) == 5


def test_the_learning_rate_rises_over_the_warm_up_and_falls_to_zero() -> None:
    config = training(learningRate=1.0, warmup=0.2)
    rates = [learning_rate_at(step, 10, config) for step in range(10)]
    assert rates == pytest.approx([1 / 3, 2 / 3, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8])
    flat = training(learningRate=1.0, warmup=0.0, schedule="constant")
    assert [learning_rate_at(step, 3, flat) for step in range(3)] == [1, 1, 1]


def test_the_cosine_falls_slowly_at_both_ends() -> None:
    config = training(learningRate=1.0, warmup=0.0, schedule="cosine")
    rates = [learning_rate_at(step, 4, config) for step in range(5)]
    assert rates == pytest.approx([1.0, (1 + 2**-0.5) / 2, 0.5, (1 - 2**-0.5) / 2, 0.0])
