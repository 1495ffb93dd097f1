"""The fit of a trial, and what the fitted model predicts on the evaluation splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from espalier_runtime.backbone.heads import Head
from espalier_runtime.baselines.methods import Baseline
from espalier_runtime.baselines.target import Target
from espalier_runtime.errors import TrialError
from espalier_runtime.search.methods import continues
from espalier_runtime.search.problem import Found
from espalier_runtime.structure.gates import FixedGates
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.training.adaptation import Adaptation
from espalier_runtime.training.checkpoint import Checkpoint, Warn
from espalier_runtime.training.evaluate import Predictions, predict
from espalier_runtime.training.execution import execution_of
from espalier_runtime.training.loop import TrainReport, train
from espalier_runtime.training.model import AdaptedModel
from espalier_runtime.trials.prepare import Prepared
from espalier_runtime.trials.start import StageReport, TrialMethod

#: Evaluation rows of a task that the discretisation gap is taken over: both of its sides are paired by row, so that it
#: wants fewer than a score does, and each side is a pass over the whole backbone.
GAP_ROWS = 500


@dataclass
class Fitted:
    """A trial's model and what was predicted with it."""

    target: Target
    model: AdaptedModel
    done: TrainReport
    predictions: list[Predictions]


def fit_target(
    prepared: Prepared,
    found: Found | None,
    target: Target,
    method: TrialMethod,
    seed: int,
    held_out: list[int],
    report: StageReport,
    checkpoint: Checkpoint,
) -> Fitted:
    """Trains what `target` adapts, from its initial weights, or where the method continues, from the search's."""
    training = prepared.plan.training
    warm = found is not None and not isinstance(method, Baseline) and continues(method)
    searched = found.model if found is not None and warm else None
    heads = prepared.new_heads(held_out) if searched is None else _heads_of(searched, prepared)
    execution = execution_of(training, prepared.backbone.device, fit=True)
    model = target.model(prepared.backbone, target.adapters, heads, training.pooling, execution)
    model.to(prepared.backbone.device)
    if found is not None and searched is not None:
        _take_searched(model.pool, found, searched)
    done = train(
        model,
        seen_by(prepared, target.adapters, prepared.corpus),
        FixedGates(target.rows),
        training,
        seed=seed,
        epochs=training.epochs,
        report=lambda step, steps, loss: report("fit", step, steps, loss),
        held_out=held_out,
        checkpoint=checkpoint,
        warn=checkpoint.warn,
    )
    return Fitted(target, model, done, [])


def seen_by(prepared: Prepared, adapters: Adaptation, corpus: Corpus) -> Corpus:
    """Where nothing is adapted, the frozen features stand for the backbone; not where a task reads every token."""
    writes = any(prepared.tasks[task].kind == "generation" for task in set(corpus.task_ids))
    if writes or adapters.lowest_layer is not None:
        return corpus
    return corpus.with_features(prepared.features(corpus))


def evaluate(
    prepared: Prepared, fitted: Fitted, splits: Sequence[Corpus], trial: str, report: StageReport, warn: Warn
) -> list[Predictions]:
    """What the model predicts on each task's split; `trial` is the trial's id.

    Raises TrialError at an output that is not finite.
    """
    predictions = []
    for index, task in enumerate(prepared.tasks):
        corpus = seen_by(prepared, fitted.target.adapters, splits[index])
        rows, max_tokens = fitted.target.rows, prepared.plan.training.max_tokens
        predictions.append(predict(fitted.model, corpus, rows, task.metric, max_tokens, warn))
        report("evaluate", index + 1, len(prepared.tasks), None)
    if not all(entry.finite for entry in predictions):
        raise TrialError(
            f"{trial}: the fitted model gives outputs that are not finite", mend="Lower training.learningRate."
        )
    return predictions


def hardened_scores(
    prepared: Prepared, found: Found | None, splits: Sequence[Corpus], warn: Warn
) -> list[float] | None:
    """Scores of the searched model cut down to its structure, before any fit: the discretisation gap's hard side."""
    if found is None or found.model is None:
        return None
    pool = AdapterPool(found.structure.candidates, prepared.space.kinds, 0)
    _take_searched(pool, found, found.model)
    heads = _heads_of(found.model, prepared)
    model = AdaptedModel(prepared.backbone, pool, heads, prepared.plan.training.pooling).to(prepared.backbone.device)
    return _gap_scores(prepared, model, found.structure.gates().to(prepared.backbone.device), splits, warn)


def soft_scores(prepared: Prepared, found: Found | None, splits: Sequence[Corpus], warn: Warn) -> list[float] | None:
    """Scores of the searched model under the gates it ended with: the discretisation gap's soft side."""
    if found is None or found.model is None or found.soft is None:
        return None
    return _gap_scores(prepared, found.model, found.soft, splits, warn)


@torch.no_grad()
def _take_searched(pool: AdapterPool, found: Found, searched: AdaptedModel) -> None:
    """The weights of the search, in a pool of its structure's candidates.

    A weight that was trained under a soft gate is worth its product with it: the gate is folded in, that of the task
    which opened the candidate widest among those that use it. What is over a path's share is the gate's.
    """
    pool.copy_from(searched.pool)
    if found.soft is None or not found.under_soft:
        return
    place = {candidate.id: index for index, candidate in enumerate(searched.pool.candidates)}
    soft = found.soft.cpu()[:, [place[candidate.id] for candidate in pool.candidates]]
    rows = found.structure.gates()
    pool.fold_gates(torch.where(rows > 0, soft / rows.clamp_min(1e-12), 0.0).amax(0))


def _gap_scores(
    prepared: Prepared, model: AdaptedModel, gates: Tensor, splits: Sequence[Corpus], warn: Warn
) -> list[float]:
    """The model's score under `gates` on each task's split, over at most GAP_ROWS rows spread evenly over it."""
    return [
        predict(model, corpus.at_most(GAP_ROWS), gates, task.metric, prepared.plan.training.max_tokens, warn).score
        for task, corpus in zip(prepared.tasks, splits, strict=True)
    ]


def _heads_of(model: AdaptedModel, prepared: Prepared) -> list[tuple[str, Head]]:
    heads = prepared.new_heads(probe=False)
    for index, (_, head) in enumerate(heads):
        head.load_state_dict(model.head(index).state_dict())
    return heads
