"""Reads an evaluation split once, and says what the model predicts for each row."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.tasks.metrics import score
from espalier_runtime.tasks.written import text_scores
from espalier_runtime.training.checkpoint import Warn
from espalier_runtime.training.generate import completions
from espalier_runtime.training.memory import MicroBatches
from espalier_runtime.training.model import AdaptedModel


@dataclass(frozen=True)
class Predictions:
    """`labels` and `predictions` (rows,): class or candidate indices, or values; `outputs` (rows, columns).

    Of a generation `texts` is what the model wrote and `references` what it should have; its predictions are the
    scores of the texts, its labels 1. `loss` is the objective's mean over the rows.
    """

    task: str
    metric: str
    labels: NDArray[np.float64]
    predictions: NDArray[np.float64]
    outputs: NDArray[np.float32]
    loss: float
    texts: tuple[str, ...] | None = None
    references: tuple[str, ...] | None = None

    @property
    def finite(self) -> bool:
        """Whether the model's outputs are; -inf stands for the candidates that a row lacks."""
        there = np.isfinite(self.outputs)
        return bool((there | np.isneginf(self.outputs)).all() and there.any(1).all())

    @property
    def score(self) -> float:
        """The task's metric."""
        return score(self.metric, self.labels, self.predictions)


def predict(
    model: AdaptedModel,
    corpus: Corpus,
    gates: Tensor | None,
    metric: str,
    max_tokens: int,
    warn: Warn = warnings.warn,
) -> Predictions:
    """The model's outputs for every row of `corpus`, which holds one task; `gates` (tasks, candidates).

    Only the task's own adapters run.
    """
    task = corpus.task_ids[0]
    objective = model.objective(task)
    texts: list[str] | None = None
    model, gates = model.alone(task, gates)
    corpus = model.readable(corpus)
    fitting = MicroBatches(corpus, max_tokens, warn)
    model.eval()
    with torch.no_grad(), model.adapters.attached(model.backbone.model):
        said = fitting.run(
            range(len(corpus)),
            lambda parts: [(part, model.outputs(corpus.batch(part), gates).float().cpu()) for part in parts],
        )
        if model.head(task).kind == "generation":
            texts = completions(model, corpus, gates, fitting.max_tokens)
    outputs = torch.full((len(corpus), max(values.shape[1] for _, values in said)), -torch.inf)
    for part, values in said:
        outputs[part, : values.shape[1]] = values
    labels = torch.tensor(corpus.labels, dtype=torch.float64)
    predictions = objective.predictions(outputs).double().numpy()
    references = None
    if texts is not None:
        references = [one.completion.text for row in range(len(corpus)) for one in corpus.row(row) if one.completion]
        predictions = text_scores(metric, references, texts)
    return Predictions(
        task=corpus.task_names[task],
        metric=metric,
        labels=labels.numpy(),
        predictions=predictions,
        outputs=outputs.numpy(),
        loss=objective.mean_loss(outputs.double(), labels),
        texts=None if texts is None else tuple(texts),
        references=None if references is None else tuple(references),
    )
