"""How many steps a loop takes, and the learning rate of each."""

from __future__ import annotations

import math

from espalier_runtime import contract


def step_count(rows: int, config: contract.Training, epochs: float) -> int:
    """Optimiser steps of `epochs` passes over `rows`, at least one and at most `maxSteps`."""
    steps = max(1, round(epochs * math.ceil(rows / config.batch_size)))
    return steps if config.max_steps is None else min(steps, config.max_steps)


def learning_rate_at(step: int, steps: int, config: contract.Training) -> float:
    """Linear rise over the warm-up's share, then constant or linear to zero after the last step."""
    warmup = round(config.warmup * steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / (warmup + 1)
    if config.schedule == "constant":
        return config.learning_rate
    return config.learning_rate * (steps - step) / max(1, steps - warmup)
