"""The training loop, of searches and of fits alike.

One optimiser step: the gates of the step are opened, the batch's rows run through the backbone in parts of at most
`maxTokens` padded tokens, the mean loss flows back, the weights move, and the gates learn from dL/dz.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.errors import TrialError
from espalier_runtime.structure.gates import Gates
from espalier_runtime.tasks.batching import micro_batches
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.tasks.order import BatchOrder
from espalier_runtime.training.checkpoint import Checkpoint, RandomState
from espalier_runtime.training.model import AdaptedModel
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
) -> TrainReport:
    """Trains the adapters and heads of `model` on the corpus, less the rows `held_out` for early stopping.

    Where `checkpoint` holds the state of this loop, the loop goes on from there; it is written while the loop works,
    at its end, and where `report` raises. Raises TrialError at a loss that is not finite, with the step and the rows of
    its batch.
    """
    aside = set(held_out)
    rows = [row for row in range(len(corpus)) if row not in aside]
    steps = step_count(len(rows), config, epochs)
    order = BatchOrder(rows, [corpus.lengths[row] for row in rows], config.batch_size, seed)
    optimiser = torch.optim.AdamW(
        model.trained(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    held_out_loss = (lambda: _mean_loss(model, corpus, held_out, gates, config)) if held_out else None
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
            "stopping": stopping,
            "done": done,
            "random": RandomState(model.backbone.device),
            **model.parts(),
        }
    )
    model.train()
    with model.adapters.attached(model.backbone.model):
        while len(done.losses) < steps and not stopping.stopped:
            started = time.perf_counter()
            step = len(done.losses)
            batch = order.next()
            for settings in optimiser.param_groups:
                settings["lr"] = learning_rate_at(step, steps, config)
            opened = gates.open(step, steps)
            z = None if opened is None else opened.detach().clone().requires_grad_()
            loss = _backward(model, corpus, batch, z, config.max_tokens)
            if not math.isfinite(loss):
                raise TrialError(
                    f"the loss at step {step + 1} of {steps} is {loss}; the batch's rows are "
                    f"{', '.join(corpus.name_of(row) for row in batch[:8])}",
                    mend="Lower training.learningRate, or look at these rows.",
                )
            torch.nn.utils.clip_grad_norm_(model.trained(), config.gradient_clip)
            optimiser.step()
            model.stepped(step, steps)
            optimiser.zero_grad()
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


def _backward(model: AdaptedModel, corpus: Corpus, batch: list[int], z: Tensor | None, max_tokens: int) -> float:
    """Accumulates the gradient of the batch's mean loss part by part, and returns that loss."""
    total = 0.0
    for part in micro_batches(batch, corpus.lengths, max_tokens):
        loss = model.losses(corpus.batch(part), z).sum() / len(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    return total


@torch.no_grad()
def _mean_loss(
    model: AdaptedModel, corpus: Corpus, rows: Sequence[int], gates: Gates, config: contract.Training
) -> float:
    opened = gates.open(0, 1)
    total = 0.0
    for part in micro_batches(rows, corpus.lengths, config.max_tokens):
        total += float(model.losses(corpus.batch(part), opened).sum())
    return total / len(rows)
