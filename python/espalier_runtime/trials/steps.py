"""The time of one step on the clock: of the full structure, which a structure's step is a fraction of."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from espalier_runtime.structure.space import Candidate
from espalier_runtime.training.loop import backward
from espalier_runtime.training.optimiser import FlatAdamW
from espalier_runtime.trials.calibrate import Workload

#: Steps whose median is taken, after one that pays for allocation.
STEPS = 5


def full_step_ms(work: Workload, batch: Sequence[int]) -> float:
    """Median milliseconds of a step with every candidate of the space attached, on the rows `batch`."""
    _, *timed = (step_ms(work, batch, work.space.candidates) for _ in range(STEPS + 1))
    return statistics.median(timed)


def step_ms(
    work: Workload,
    batch: Sequence[int],
    candidates: Sequence[Candidate],
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Milliseconds of one training step, as training/loop.py takes it, with these candidates attached."""
    model = work.model(candidates)
    optimiser = FlatAdamW(model.trained(), weight_decay=0.01, clip=1.0)
    with model.adapters.attached(work.backbone.model):
        work.wait()
        started = clock()
        backward(model, work.corpus, None, work.parts(batch))
        optimiser.step(1e-4)
        optimiser.clear()
        work.wait()
        took = 1000 * (clock() - started)
    optimiser.close()
    return took
