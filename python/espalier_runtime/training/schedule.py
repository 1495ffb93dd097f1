"""How many steps a loop takes, and the learning rate of each."""

from __future__ import annotations

import math

from espalier_runtime import contract


def step_count(rows: int, config: contract.Training, epochs: float) -> int:
    """Optimiser steps of `epochs` passes over `rows`, at least one and at most `maxSteps`."""
    steps = max(1, round(epochs * math.ceil(rows / config.batch_size)))
    return steps if config.max_steps is None else min(steps, config.max_steps)


def learning_rate_at(step: int, steps: int, config: contract.Training) -> float:
    """Linear rise over the warm-up's share; then constant, or down to zero after the last step.

    With t from 0 at the end of the warm-up to 1 after the last step, linear is 1 - t, cosine (1 + cos(pi t)) / 2.
    """
    warmup = round(config.warmup * steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / (warmup + 1)
    if config.schedule == "constant":
        return config.learning_rate
    left = (steps - step) / max(1, steps - warmup)
    share = (1 - math.cos(math.pi * left)) / 2 if config.schedule == "cosine" else left
    return config.learning_rate * share
