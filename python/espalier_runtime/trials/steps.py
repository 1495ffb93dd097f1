"""The time of one step on the clock: of the full structure, and of others as shares of it."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence

from torch import Tensor

from espalier_runtime.structure.space import Candidate
from espalier_runtime.training.loop import backward
from espalier_runtime.training.model import AdaptedModel
from espalier_runtime.training.optimiser import FlatAdamW
from espalier_runtime.trials.calibrate import Workload

#: Steps whose median is taken, after one that pays for allocation.
STEPS = 5


def full_step_ms(work: Workload) -> float:
    """Median milliseconds of a step with every candidate of the space attached, on batches of about median size.

    They are unlike, as those of a fit are: a batch of a shape that came before takes less time.
    """
    _, *timed = (step_ms(work, batch, work.space.candidates) for batch in work.typical_batches(STEPS + 1))
    return statistics.median(timed)


def step_ms(
    work: Workload,
    batch: Sequence[int],
    candidates: Sequence[Candidate],
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Milliseconds of one training step, as training/loop.py takes it, with these candidates attached."""
    return model_step_ms(work, work.model(candidates), batch, clock=clock)


def share_of_full_step(work: Workload, model: AdaptedModel, gates: Tensor | None) -> float:
    """The median of what a step of `model` under `gates` takes, over what the full structure's takes beside it.

    Both are on the batch of median size. The model's weights stay as they are.
    """
    own = dataclasses.replace(work, corpus=model.readable(work.corpus))
    pairs = [
        (
            model_step_ms(own, model, own.typical_batch, gates),
            step_ms(work, work.typical_batch, work.space.candidates),
        )
        for _ in range(STEPS + 1)
    ]
    return statistics.median(mine / full for mine, full in pairs[1:])


def model_step_ms(
    work: Workload,
    model: AdaptedModel,
    batch: Sequence[int],
    gates: Tensor | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Milliseconds of one training step of `model`, at a learning rate of zero."""
    optimiser = FlatAdamW(model.trained(), weight_decay=0.01, clip=1.0)
    with model.adapters.attached(work.backbone.model):
        work.backbone.wait()
        started = clock()
        backward(model, work.corpus, gates, work.parts(batch))
        optimiser.step(0.0)
        optimiser.clear()
        work.backbone.wait()
        took = 1000 * (clock() - started)
    optimiser.close()
    return took
