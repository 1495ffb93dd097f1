"""The training loop, of searches and of fits alike.

One optimiser step: the gates of the step are opened, the batch's rows run through the backbone in parts of at most
`maxTokens` tokens, the mean loss flows back, the weights move, and the gates learn from dL/dz.
"""

from __future__ import annotations

import math
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.errors import TrialError
from espalier_runtime.structure.gates import Gates
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.tasks.order import BatchOrder
from espalier_runtime.training.checkpoint import Checkpoint, RandomState, Warn
from espalier_runtime.training.memory import MicroBatches
from espalier_runtime.training.model import AdaptedModel
from espalier_runtime.training.optimiser import FlatAdamW
from espalier_runtime.training.schedule import learning_rate_at, step_count
from espalier_runtime.training.stopping import EarlyStopping

#: Called after each step with (step, steps, loss); it may raise to cancel.
Report = Callable[[int, int, float], None]

#: The first steps of a loop pay for allocation and are left out of its step time.
UNTIMED_STEPS = 2


@dataclass
class TrainReport:
    """What a loop did: steps taken, the loss of each, and the seconds of each."""

    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    stopped_early: bool = False

    @property
    def step_ms(self) -> float:
        """Median milliseconds of a step."""
        timed = self.seconds[UNTIMED_STEPS:] or self.seconds
        return 1000 * statistics.median(timed) if timed else 0.0

    def state_dict(self) -> dict[str, Any]:
        return {name: torch.tensor(values, dtype=torch.float64) for name, values in self._lists().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, values in self._lists().items():
            values[:] = state[name].tolist()

    def _lists(self) -> dict[str, list[float]]:
        return {"losses": self.losses, "seconds": self.seconds}


def train(
    model: AdaptedModel,
    corpus: Corpus,
    gates: Gates,
    config: contract.Training,
    *,
    seed: int,
    epochs: float,
    report: Report,
    held_out: Sequence[int] = (),
    checkpoint: Checkpoint | None = None,
    warn: Warn = warnings.warn,
) -> TrainReport:
    """Trains the adapters and heads of `model` on the corpus, less the rows `held_out` for early stopping.

    Where `checkpoint` holds the state of this loop, the loop goes on from there; it is written while the loop works,
    at its end, and where `report` raises. Raises TrialError at a loss that is not finite, with the step and the rows of
    its batch.
    """
    if not model.trained():  # such as a generation on the backbone as it is
        return TrainReport()
    corpus = model.readable(corpus)
    aside = set(held_out)
    rows = [row for row in range(len(corpus)) if row not in aside]
    steps = step_count(len(rows), config, epochs)
    order = BatchOrder(corpus, rows, config.batch_size, seed)
    parts = MicroBatches(corpus, config.max_tokens, warn)
    optimiser = FlatAdamW(model.trained(), weight_decay=config.weight_decay, clip=config.gradient_clip)
    held_out_loss = (lambda: _mean_loss(model, corpus, parts.of(held_out), gates)) if held_out else None
    stopping = EarlyStopping(model, config.early_stopping, held_out_loss)
    done = TrainReport()
    # A loop's random numbers are its own, whatever ran before it in this process.
    torch.manual_seed(seed)
    checkpoint = checkpoint or Checkpoint()
    checkpoint.begin(
        {
            "model": model,
            "optimiser": optimiser,
            "gates": gates,
            "order": order,
            "parts": parts,
            "stopping": stopping,
            "done": done,
            "random": RandomState(model.backbone.device),
            **model.parts(),
        }
    )
    model.train()
    with closing(optimiser), model.adapters.attached(model.backbone.model):
        while len(done.losses) < steps and not stopping.stopped:
            started = time.perf_counter()
            step = len(done.losses)
            batch = order.next()
            opened = gates.open(step, steps)
            z = None if opened is None else opened.detach().clone().requires_grad_()
            loss = parts.run(batch, partial(backward, model, corpus, z), partial(_clear, optimiser, z))
            if not math.isfinite(loss):
                guilty = _not_finite(model, corpus, parts.of(batch), z)
                raise TrialError(
                    f"the loss at step {step + 1} of {steps} is {loss}; {guilty}",
                    mend="Lower training.learningRate, or look at these rows.",
                )
            optimiser.step(learning_rate_at(step, steps, config))
            model.stepped(step, steps)
            optimiser.clear()
            if z is not None:
                gates.learn(torch.zeros_like(z) if z.grad is None else z.grad)
            done.losses.append(loss)
            done.seconds.append(time.perf_counter() - started)
            if order.epoch_is_over or step + 1 == steps:
                stopping.after_epoch()
            try:
                report(step + 1, steps, loss)
            except BaseException:
                checkpoint.write()
                raise
            # After the report: a step that is in the checkpoint has been told of.
            checkpoint.step_done()
        checkpoint.write()
        stopping.restore_best()
    done.stopped_early = stopping.stopped
    return done


def backward(model: AdaptedModel, corpus: Corpus, z: Tensor | None, parts: Sequence[list[int]]) -> float:
    """Accumulates the gradient of the mean loss over all parts' rows, and returns that loss."""
    rows = sum(len(part) for part in parts)
    total = 0.0
    for part in parts:
        loss = model.losses(corpus.batch(part), z).sum() / rows
        penalty = model.penalty()
        whole = loss if penalty is None else loss + penalty * (len(part) / rows)
        whole.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    return total


def _clear(optimiser: FlatAdamW, z: Tensor | None) -> None:
    optimiser.clear()
    if z is not None:
        z.grad = None


@torch.no_grad()
def _not_finite(model: AdaptedModel, corpus: Corpus, parts: Sequence[list[int]], z: Tensor | None) -> str:
    """Says which rows' own losses are not finite; all where together they are and alone none is."""
    found = [
        row
        for part in parts
        for row, loss in zip(part, model.losses(corpus.batch(part), z).tolist(), strict=True)
        if not math.isfinite(loss)
    ]
    rows = found or [row for part in parts for row in part]
    which = "that of these rows is not finite" if found else "the batch's rows are"
    return f"{which}: {', '.join(corpus.name_of(row) for row in sorted(rows))}"


@torch.no_grad()
def _mean_loss(model: AdaptedModel, corpus: Corpus, parts: Sequence[list[int]], gates: Gates) -> float:
    opened = gates.open(0, 1)
    # Some kinds draw random numbers while they are trained.
    model.eval()
    total = sum(float(model.losses(corpus.batch(part), opened).sum()) for part in parts)
    model.train()
    return total / sum(len(part) for part in parts)
