"""First-order bilevel search: the weights learn from most of train, the gates from the rest.

With w the weights, a the gates' logits, and the rows split in A and B, a step is

    w <- w - eta dL_A/dw (w, z(a))          a <- a - eta_a dL_B/da (w, z(a))

so that a candidate opens because it helps on rows it was not fitted to. The second line takes w as a constant (first
order, as in DARTS, arXiv 1806.09055); both lines see the same draw z. It costs one more forward and backward a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.structure.gates import Gates
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.training.checkpoint import Warn
from espalier_runtime.training.memory import MicroBatches
from espalier_runtime.training.model import AdaptedModel


class BilevelGates:
    """`inner` gates, which learn from the rows `held_out` of `corpus` in place of the step's own."""

    def __init__(
        self,
        inner: Gates,
        model: AdaptedModel,
        corpus: Corpus,
        held_out: Sequence[int],
        training: contract.Training,
        seed: int,
        warn: Warn,
    ) -> None:
        self._inner, self._model, self._corpus, self._training, self._seed = inner, model, corpus, training, seed
        self._parts = MicroBatches(corpus, training.max_tokens, warn)
        self._rows = list(held_out)
        self._step = 0
        self._opened: Tensor | None = None

    def open(self, step: int, steps: int) -> Tensor | None:
        self._step = step
        self._opened = self._inner.open(step, steps)
        return self._opened

    def learn(self, gradient: Tensor) -> None:  # noqa: ARG002
        if self._opened is None:
            return
        z = self._opened.detach().clone().requires_grad_()
        self._inner.learn(self._parts.run(self._batch(self._step), partial(self._held_out_gradient, z)))

    def state_dict(self) -> dict[str, Any]:
        """The inner gates' state; the held-out rows of a step follow from its number."""
        return self._inner.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._inner.load_state_dict(state)

    def _batch(self, step: int) -> list[int]:
        """The held-out rows of a step: a function of the step alone, so that a resumed search sees the same."""
        per_epoch = -(-len(self._rows) // self._training.batch_size)
        batches = self._corpus.batches(self._rows, self._training.batch_size, self._seed, step // per_epoch)
        return batches[step % per_epoch]

    def _held_out_gradient(self, z: Tensor, parts: list[list[int]]) -> Tensor:
        """dL/dz (tasks, candidates) of the mean loss over all parts' rows; the weights get no gradient."""
        total, rows = torch.zeros_like(z), sum(map(len, parts))
        for part in parts:
            loss = self._model.losses(self._corpus.batch(part), z).sum() / rows
            total += torch.autograd.grad(loss, z)[0]
        return total
