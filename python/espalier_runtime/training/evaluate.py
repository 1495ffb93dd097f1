"""Reads an evaluation split once, and says what the model predicts for each row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.tasks.metrics import score
from espalier_runtime.training.model import AdaptedModel


@dataclass(frozen=True)
class Predictions:
    """`labels` and `predictions` (rows,): class indices, or values; `outputs` (rows, classes) logits, or (rows, 1)."""

    task: str
    metric: str
    labels: NDArray[np.float64]
    predictions: NDArray[np.float64]
    outputs: NDArray[np.float32]

    @property
    def score(self) -> float:
        """The task's metric."""
        return score(self.metric, self.labels, self.predictions)


def predict(model: AdaptedModel, corpus: Corpus, gates: Tensor | None, metric: str, max_tokens: int) -> Predictions:
    """The model's outputs for every row of `corpus`, which holds one task; `gates` (tasks, candidates).

    Only the task's own adapters run.
    """
    outputs: Tensor | None = None
    model, gates = model.alone(corpus.task_ids[0], gates)
    corpus = model.readable(corpus)
    model.eval()
    with torch.no_grad(), model.adapters.attached(model.backbone.model):
        for part in corpus.in_parts(max_tokens):
            values = model.outputs(corpus.batch(part), gates).float().cpu()
            if outputs is None:
                outputs = torch.empty(len(corpus), values.shape[1])
            outputs[part] = values
    assert outputs is not None
    best = outputs.squeeze(1) if outputs.shape[1] == 1 else outputs.argmax(1)
    return Predictions(
        task=corpus.task_names[corpus.task_ids[0]],
        metric=metric,
        labels=np.asarray(corpus.labels, dtype=np.float64),
        predictions=best.double().numpy(),
        outputs=outputs.numpy(),
    )
