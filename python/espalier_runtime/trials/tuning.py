"""The sweep of learning rates: each method is tried at as many, and the best on a part of train is kept.

The part is carved from train before anything looks at it; the evaluation split is not seen. The sweep runs once a
method, at the plan's first seed, and its rate then holds for all seeds.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from espalier_runtime import contract
from espalier_runtime.errors import TrialError
from espalier_runtime.records.directory import RunDirectory
from espalier_runtime.records.files import write_json
from espalier_runtime.records.json import dumps
from espalier_runtime.training.checkpoint import TrialCheckpoint, Warn
from espalier_runtime.training.evaluate import Predictions, predict
from espalier_runtime.trials.fit import fit_target, seen_by
from espalier_runtime.trials.prepare import Prepared
from espalier_runtime.trials.start import StageReport, TrialMethod, start_of

#: A rate's progress is told in so many parts, half of them for its search.
PARTS = 100


def tuned_rate(
    prepared: Prepared, method: TrialMethod, directory: RunDirectory, report: StageReport, warn: Warn
) -> contract.Tuning | None:
    """The method's sweep, read back where it is done already; None where the plan asks for none, or the method sweeps.

    Raises TrialError where the method fails at every rate.
    """
    tune, name = prepared.plan.tune, str(method.name)
    if tune is None or isinstance(method, contract.RaceMethod):
        return None
    file = directory.tuning(name)
    if file.exists():
        return contract.Tuning.model_validate_json(file.read_text())
    started = time.perf_counter()
    with prepared.evaluation.shut(f"the sweep of {name}"):
        held_out = prepared.corpus.held_out(tune.fraction, prepared.plan.seeds[0])
        rates = rates_of(prepared.plan, method)
        checkpoints = [_checkpoint(prepared.plan, file.with_suffix(""), name, rate, warn) for rate in rates]
        tried = [
            _tried(prepared, method, rate, held_out, _part(report, place, len(rates)), checkpoints[place])
            for place, rate in enumerate(rates)
        ]
    finished = [entry for entry in tried if entry.score is not None]
    if not finished:
        raise TrialError(
            f"{name}: it failed at every learning rate of the sweep: {tried[-1].error}",
            mend="Lower tune.learningRates.",
        )
    best = max(finished, key=lambda entry: (float(entry.score or 0), -float(entry.loss or 0)))
    tuning = contract.Tuning(
        version=1,
        method=name,
        seed=prepared.plan.seeds[0],
        fraction=tune.fraction,
        rates=tried,
        chosen=best.learning_rate,
        seconds=time.perf_counter() - started,
    )
    write_json(file, tuning.model_dump(by_alias=True))
    for checkpoint in checkpoints:
        checkpoint.clear()
    shutil.rmtree(file.with_suffix(""), ignore_errors=True)
    return tuning


def rates_of(plan: contract.Plan, method: TrialMethod) -> list[float]:
    """The sweep's rates for `method`: the plan's, times the ratio of the method's own rate to the plan's."""
    assert plan.tune is not None
    base = plan.training.learning_rate
    return [rate * (method.learning_rate or base) / base for rate in plan.tune.learning_rates]


def _checkpoint(plan: contract.Plan, folder: Path, name: str, rate: float, warn: Warn) -> TrialCheckpoint:
    """Kept until the whole sweep is done, so that one that was stopped soon comes back to where it was."""
    key = hashlib.sha256(f"{name} {rate} {dumps(plan.model_dump(by_alias=True))}".encode()).hexdigest()
    return TrialCheckpoint(folder / f"{rate:g}", key, plan.training.checkpoint_seconds, warn)


def _tried(
    prepared: Prepared,
    method: TrialMethod,
    rate: float,
    held_out: list[int],
    report: StageReport,
    checkpoint: TrialCheckpoint,
) -> contract.TunedRate:
    seed = prepared.plan.seeds[0]
    at_rate = prepared.at_rate(rate)
    trial = contract.Trial(id=f"{method.name}-tune", method=str(method.name), draw=0, seed=seed)
    torch.manual_seed(seed)
    try:
        found, target = start_of(at_rate, trial, method, held_out, report, checkpoint)
        fitted = fit_target(at_rate, found, target, method, seed, held_out, report, checkpoint.of("fit"))
        predictions = []
        corpus = seen_by(at_rate, target.adapters, at_rate.corpus)
        for index, task in enumerate(prepared.tasks):
            mine = set(corpus.of_task(index)) & set(held_out)
            part = corpus.without([row for row in range(len(corpus)) if row not in mine])
            predictions.append(predict(fitted.model, part, target.rows, task.metric, at_rate.plan.training.max_tokens))
        score = float(np.mean([entry.score for entry in predictions]))
    except TrialError as error:
        return contract.TunedRate(learning_rate=rate, score=None, loss=None, error=error.whole)
    return contract.TunedRate(learning_rate=rate, score=score, loss=_mean_loss(predictions), error=None)


def _mean_loss(predictions: Sequence[Predictions]) -> float:
    """The tasks' mean of what their objectives say."""
    return float(np.mean([entry.loss for entry in predictions]))


def _part(report: StageReport, place: int, count: int) -> StageReport:
    """Reports the stages of one try as a part of the sweep."""

    def within(stage: str, step: int, steps: int, loss: float | None) -> None:
        half = 0.5 * step / max(1, steps) + (0.0 if stage == "search" else 0.5)
        report("tune", round(PARTS * (place + half)), PARTS * count, loss)

    return within
