"""A trial's record and its files: predictions, structure, adapter, and the result, which is written last."""

from __future__ import annotations

import math
from dataclasses import dataclass

from espalier_runtime import contract
from espalier_runtime.backbone.heads import Head
from espalier_runtime.export import native
from espalier_runtime.records.directory import TrialDirectory
from espalier_runtime.records.files import write_json
from espalier_runtime.records.tables import write_table
from espalier_runtime.search.controller import Controller, write_controller
from espalier_runtime.search.problem import Found
from espalier_runtime.structure.structure import to_record
from espalier_runtime.training.evaluate import Predictions
from espalier_runtime.trials.fit import Fitted
from espalier_runtime.trials.prepare import Prepared
from espalier_runtime.trials.step_costs import StepCosts


@dataclass(frozen=True)
class BeforeFit:
    """The searched model's score on each task, under its gates and cut down to the structure; None of no search."""

    soft: list[float] | None
    hardened: list[float] | None


def result_of(
    prepared: Prepared,
    trial: contract.Trial,
    found: Found | None,
    fitted: Fitted,
    before_fit: BeforeFit,
    seconds: contract.Seconds,
    costs: StepCosts,
    peak_mib: float,
) -> contract.TrialResult:
    """The record of a trial that is whole."""
    target = fitted.target
    before = target if found is None else found
    scores = {
        task.name: {
            "metric": task.metric,
            "split": task.evaluation_split,
            "score": predictions.score,
            "softBeforeFit": None if before_fit.soft is None else before_fit.soft[index],
            "hardenedBeforeFit": None if before_fit.hardened is None else before_fit.hardened[index],
            "rows": len(predictions.labels),
            "parameters": target.parameters[task.name],
            "layerShares": _layer_shares(fitted.model.head(index)),
        }
        for index, (task, predictions) in enumerate(zip(prepared.tasks, fitted.predictions, strict=True))
    }
    return contract.TrialResult.model_validate(
        {
            "version": 1,
            "trial": trial.id,
            "method": trial.method,
            "draw": trial.draw,
            "seed": trial.seed,
            "status": "done",
            "error": None,
            "tasks": scores,
            "union": target.union,
            "lowestLayer": target.adapters.lowest_layer,
            "steps": {"search": before.steps, "fit": len(fitted.done.losses)},
            "stepMs": {"search": before.step_ms, "fit": fitted.done.step_ms, "predicted": costs.predicted_ms},
            "seconds": seconds.model_dump(),
            "peakMemoryMiB": peak_mib,
            "learningRate": prepared.plan.training.learning_rate,
            "memoryMiB": costs.memory,
            "overBudget": [entry.model_dump(by_alias=True) for entry in costs.over_budget],
            "gatesAboveHalf": None if found is None else found.gates_above_half,
        }
    )


def _layer_shares(head: Head) -> list[float] | None:
    shares = head.layer_shares()
    return None if shares is None else [float(share) for share in shares.detach()]


def failed_result(trial: contract.Trial, error: str) -> contract.TrialResult:
    """The record of a trial that must not count."""
    return contract.TrialResult(
        version=1,
        trial=trial.id,
        method=trial.method,
        draw=trial.draw,
        seed=trial.seed,
        status="failed",
        error=error,
        tasks={},
        union=0,
        lowest_layer=None,
        steps=contract.TrialSteps(search=0, fit=0),
        step_ms=contract.TrialStepMs(search=None, fit=0.0),
        seconds=contract.Seconds(tune=0.0, search=0.0, fit=0.0, evaluate=0.0),
        peak_memory_mi_b=0.0,
        gates_above_half=None,
    )


def write_trial(
    prepared: Prepared, directory: TrialDirectory, found: Found | None, fitted: Fitted, result: contract.TrialResult
) -> None:
    """Writes the trial's files; result.json last, so that its presence says that the trial is whole."""
    write_table(directory.predictions, contract.PredictionTable, _prediction_columns(fitted.predictions))
    if found is None:
        native.save_weights(directory.adapter, fitted.model)
    else:
        structure = to_record(found.structure, prepared.backbone, prepared.space)
        write_json(directory.structure, structure.model_dump(by_alias=True))
        native.save(directory.adapter, _card(prepared, structure), fitted.model)
        if isinstance(found.controller, Controller):
            assert found.searched is not None
            ids = [candidate.id for candidate in found.searched]
            write_controller(found.controller, ids, prepared.backbone.fingerprint, directory.controller)
        if found.race is not None:
            write_json(directory.race, found.race.model_dump(by_alias=True))
    write_json(directory.result, result.model_dump(by_alias=True))


def _card(prepared: Prepared, structure: contract.Structure) -> native.AdapterCard:
    return native.AdapterCard(
        backbone=prepared.plan.backbone,
        fingerprint=prepared.backbone.fingerprint,
        structure=structure,
        kinds=prepared.plan.space.kinds,
        tasks=[
            native.TaskCard(task.name, task.kind, task.labels, task.metric, task.max_new_tokens)
            for task in prepared.tasks
        ],
        pooling=prepared.plan.training.pooling,
        max_length=prepared.plan.training.max_length,
        mixes=prepared.plan.training.head_layers == "mixed",
    )


def _prediction_columns(predictions: list[Predictions]) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {name: [] for name in contract.PredictionTable.model_fields}
    for entry in predictions:
        count = len(entry.labels)
        columns["task"] += [entry.task] * count
        columns["row"] += list(range(count))
        columns["label"] += entry.labels.tolist()
        columns["prediction"] += entry.predictions.tolist()
        # A row of a multiple choice has as many as it has candidates.
        columns["outputs"] += [[value for value in row if value != -math.inf] for row in entry.outputs.tolist()]
        columns["text"] += entry.texts or [None] * count
        columns["reference"] += entry.references or [None] * count
    return columns
