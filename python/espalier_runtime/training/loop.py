"""The training loop, of searches and of fits alike.

One optimiser step: the gates of the step are opened, the batch's rows run through the backbone in parts of at most
`maxTokens` padded tokens, the mean loss flows back, the weights move, and the gates learn from dL/dz.
"""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.errors import TrialError
from espalier_runtime.structure.gates import Gates
from espalier_runtime.tasks.batching import micro_batches, training_batches
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.training.model import AdaptedModel

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
) -> TrainReport:
    """Trains the adapters and heads of `model` on the corpus, less the rows `held_out` for early stopping.

    Raises TrialError at a loss that is not finite, with the step and the rows of its batch.
    """
    aside = set(held_out)
    rows = [row for row in range(len(corpus)) if row not in aside]
    lengths = [corpus.lengths[row] for row in rows]
    steps = step_count(len(rows), config, epochs)
    optimiser = torch.optim.AdamW(
        model.trained(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    stopping = _EarlyStopping(model, corpus, held_out, config)
    done = TrainReport()
    epoch = 0
    model.train()
    with model.adapters.attached(model.backbone.model):
        while len(done.losses) < steps:
            for batch in training_batches(lengths, config.batch_size, seed, epoch):
                started = time.perf_counter()
                step = len(done.losses)
                for settings in optimiser.param_groups:
                    settings["lr"] = learning_rate_at(step, steps, config)
                opened = gates.open(step, steps)
                z = None if opened is None else opened.detach().clone().requires_grad_()
                loss = _backward(model, corpus, [rows[index] for index in batch], z, config.max_tokens)
                if not math.isfinite(loss):
                    raise TrialError(
                        f"the loss at step {step + 1} of {steps} is {loss}; the batch's rows are "
                        f"{', '.join(corpus.name_of(rows[index]) for index in batch[:8])}",
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
                report(step + 1, steps, loss)
                if len(done.losses) == steps:
                    break
            epoch += 1
            if stopping.after_epoch(gates):
                done.stopped_early = True
                break
        stopping.restore_best()
    return done


def _backward(model: AdaptedModel, corpus: Corpus, batch: list[int], z: Tensor | None, max_tokens: int) -> float:
    """Accumulates the gradient of the batch's mean loss part by part, and returns that loss."""
    total = 0.0
    for part in micro_batches(batch, corpus.lengths, max_tokens):
        loss = model.losses(corpus.batch(part), z).sum() / len(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    return total


class _EarlyStopping:
    """Ends a fit when the held-out loss stops falling, and goes back to the weights of its lowest point."""

    def __init__(self, model: AdaptedModel, corpus: Corpus, held_out: Sequence[int], config: contract.Training) -> None:
        self._model, self._corpus, self._held_out, self._config = model, corpus, list(held_out), config
        self._best = math.inf
        self._state: dict[str, Tensor] | None = None
        self._waited = 0

    def after_epoch(self, gates: Gates) -> bool:
        if not self._held_out or self._config.early_stopping is None:
            return False
        loss = self._held_out_loss(gates)
        if loss < self._best:
            self._best, self._waited = loss, 0
            self._state = copy.deepcopy(self._model.state_dict())
            return False
        self._waited += 1
        return self._waited >= self._config.early_stopping.patience

    def restore_best(self) -> None:
        if self._state is not None:
            self._model.load_state_dict(self._state)

    @torch.no_grad()
    def _held_out_loss(self, gates: Gates) -> float:
        opened = gates.open(0, 1)
        total = 0.0
        for part in micro_batches(self._held_out, self._corpus.lengths, self._config.max_tokens):
            total += float(self._model.losses(self._corpus.batch(part), opened).sum())
        return total / len(self._held_out)
