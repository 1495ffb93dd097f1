"""One trial: find a structure, fit it, evaluate it once, and write everything down."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from espalier_runtime import contract
from espalier_runtime.backbone.heads import Head
from espalier_runtime.errors import TrialError
from espalier_runtime.export import native
from espalier_runtime.records.directory import TrialDirectory
from espalier_runtime.records.events import EventLog
from espalier_runtime.records.files import write_json, write_table
from espalier_runtime.search.methods import Method, continues, find_structure
from espalier_runtime.search.problem import Found, GateHistory, SearchProblem
from espalier_runtime.structure.gates import FixedGates
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import Candidate
from espalier_runtime.structure.structure import Structure, to_record
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.training.evaluate import Predictions, predict
from espalier_runtime.training.loop import TrainReport, train
from espalier_runtime.training.model import AdaptedModel
from espalier_runtime.trials.prepare import Prepared

#: Called with (stage, step, steps, loss); it may raise to cancel.
StageReport = Callable[[str, int, int, float | None], None]


@dataclass
class Fitted:
    """A trial's model and what was predicted with it."""

    structure: Structure
    model: AdaptedModel
    done: TrainReport
    predictions: list[Predictions]


def run_trial(
    prepared: Prepared, trial: contract.Trial, method: Method, directory: TrialDirectory, report: StageReport
) -> contract.TrialResult:
    """Runs the trial and writes its files; result.json is written last, so that its presence says the trial is whole.

    Raises TrialError where the trial must not count: a loss or gates at fault, a structure over its budget.
    """
    directory.root.mkdir(parents=True, exist_ok=True)
    write_json(
        directory.trial,
        {"trial": trial.model_dump(by_alias=True), "method": method.model_dump(by_alias=True)},
    )
    log = EventLog(directory.events)
    try:
        torch.manual_seed(trial.seed)
        held_out = prepared.held_out(trial.seed)

        def logged(stage: str, step: int, steps: int, loss: float | None) -> None:
            log.append({"type": "step", "stage": stage, "step": step, "steps": steps, "loss": loss})
            report(stage, step, steps, loss)

        started = time.perf_counter()
        found = find_structure(_problem(prepared, method, trial, held_out, logged), method, trial.draw)
        _check_budget(found.structure)
        searched = time.perf_counter()
        fitted = _fit(prepared, found, method, trial.seed, held_out, logged)
        fit = time.perf_counter()
        fitted.predictions = _evaluate(prepared, fitted.model, fitted.structure, trial, logged)
        hardened = _hardened_scores(prepared, found)
        evaluated = time.perf_counter()
    finally:
        log.close()
    seconds = contract.Seconds(search=searched - started, fit=fit - searched, evaluate=evaluated - fit)
    result = _result(prepared, trial, found, fitted, hardened, seconds)
    _write(prepared, directory, found, fitted, result)
    return result


def _problem(
    prepared: Prepared, method: Method, trial: contract.Trial, held_out: list[int], report: StageReport
) -> SearchProblem:
    # Saliency reads the frozen model's loss gradient, which a head of zeros does not have.
    probe = True if isinstance(method, contract.SaliencyMethod) else None
    corpus = prepared.corpus.without(held_out) if held_out else prepared.corpus
    return SearchProblem(
        backbone=prepared.backbone,
        space=prepared.space,
        budget=prepared.budget,
        tasks=prepared.names,
        corpus=corpus,
        training=prepared.plan.training,
        seed=trial.seed,
        new_heads=lambda: prepared.new_heads(held_out, probe=probe),
        report=lambda step, steps, loss: report("search", step, steps, loss),
    )


def _check_budget(structure: Structure) -> None:
    if structure.union > structure.budget:
        raise TrialError(
            f"{structure.method}: the structure has {structure.union:,} parameters, the budget is {structure.budget:,}"
        )


def _fit(
    prepared: Prepared, found: Found, method: Method, seed: int, held_out: list[int], report: StageReport
) -> Fitted:
    structure, training = found.structure, prepared.plan.training
    warm = continues(method) and found.model is not None
    heads = _heads_of(found.model, prepared) if warm and found.model else prepared.new_heads(held_out)
    pool = AdapterPool(structure.candidates, prepared.space.kinds, seed)
    if warm and found.model is not None:
        pool.copy_from(found.model.adapters)
    model = AdaptedModel(prepared.backbone, pool, heads, training.pooling).to(prepared.backbone.device)
    corpus = _seen_by(prepared, structure, prepared.corpus)
    done = train(
        model,
        corpus,
        FixedGates(structure.gates().to(prepared.backbone.device)),
        training,
        seed=seed,
        epochs=training.epochs,
        report=lambda step, steps, loss: report("fit", step, steps, loss),
        held_out=held_out,
    )
    return Fitted(structure, model, done, [])


def _seen_by(prepared: Prepared, structure: Structure, corpus: Corpus) -> Corpus:
    """Where nothing is adapted, the frozen features stand for the backbone."""
    return corpus if structure.candidates else corpus.with_features(prepared.features(corpus))


def _evaluate(
    prepared: Prepared, model: AdaptedModel, structure: Structure, trial: contract.Trial, report: StageReport
) -> list[Predictions]:
    rows = structure.gates().to(prepared.backbone.device)
    gates = None if bool(rows.all()) else rows.float()
    predictions = []
    for index, task in enumerate(prepared.tasks):
        corpus = _seen_by(prepared, structure, prepared.evaluation[index])
        predictions.append(predict(model, corpus, gates, task.metric, prepared.plan.training.max_tokens))
        report("evaluate", index + 1, len(prepared.tasks), None)
    if not all(torch.isfinite(torch.from_numpy(entry.outputs)).all() for entry in predictions):
        raise TrialError(f"{trial.id}: the fitted model gives outputs that are not finite")
    return predictions


def _hardened_scores(prepared: Prepared, found: Found) -> list[float] | None:
    """Scores of the searched model cut down to its structure, before any fit: the discretisation gap's hard side."""
    if found.model is None:
        return None
    pool = AdapterPool(found.structure.candidates, prepared.space.kinds, 0)
    pool.copy_from(found.model.adapters)
    heads = _heads_of(found.model, prepared)
    model = AdaptedModel(prepared.backbone, pool, heads, prepared.plan.training.pooling).to(prepared.backbone.device)
    rows = found.structure.gates().float().to(prepared.backbone.device)
    return [
        predict(model, corpus, rows, task.metric, prepared.plan.training.max_tokens).score
        for task, corpus in zip(prepared.tasks, prepared.evaluation, strict=True)
    ]


def _heads_of(model: AdaptedModel, prepared: Prepared) -> list[tuple[str, Head]]:
    heads = prepared.new_heads(probe=False)
    for index, (_, head) in enumerate(heads):
        head.load_state_dict(model.head(index).state_dict())
    return heads


def _result(
    prepared: Prepared,
    trial: contract.Trial,
    found: Found,
    fitted: Fitted,
    hardened: list[float] | None,
    seconds: contract.Seconds,
) -> contract.TrialResult:
    structure = fitted.structure
    scores = {
        task.name: {
            "metric": task.metric,
            "split": task.evaluation_split,
            "score": predictions.score,
            "hardenedBeforeFit": None if hardened is None else hardened[index],
            "rows": len(predictions.labels),
            "parameters": structure.parameters(task.name),
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
            "union": structure.union,
            "lowestLayer": fitted.model.adapters.lowest_layer,
            "steps": {"search": found.steps, "fit": len(fitted.done.losses)},
            "stepMs": {"search": found.step_ms, "fit": fitted.done.step_ms},
            "seconds": seconds.model_dump(),
            "peakMemoryMiB": peak_memory_mib(prepared.backbone.device),
            "gatesAboveHalf": found.gates_above_half,
        }
    )


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
        seconds=contract.Seconds(search=0.0, fit=0.0, evaluate=0.0),
        peak_memory_mi_b=0.0,
        gates_above_half=None,
    )


def peak_memory_mib(device: torch.device) -> float:
    """On CUDA the most the device held since the process began; on the CPU the process's largest resident size."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device)) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _write(
    prepared: Prepared, directory: TrialDirectory, found: Found, fitted: Fitted, result: contract.TrialResult
) -> None:
    if found.history is not None:
        write_table(
            directory.gates, _gate_columns(found.history, found.searched or prepared.space.candidates, prepared.names)
        )
    structure = to_record(fitted.structure, prepared.backbone, prepared.space)
    write_json(directory.structure, structure.model_dump(by_alias=True))
    write_table(directory.predictions, _prediction_columns(fitted.predictions))
    native.save(directory.adapter, _card(prepared, structure), fitted.model)
    write_json(directory.result, result.model_dump(by_alias=True))


def _card(prepared: Prepared, structure: contract.Structure) -> native.AdapterCard:
    return native.AdapterCard(
        backbone=prepared.plan.backbone,
        fingerprint=prepared.backbone.fingerprint,
        structure=structure,
        kinds=prepared.plan.space.kinds,
        tasks=[native.TaskCard(task.name, task.kind, task.labels, task.metric) for task in prepared.tasks],
        pooling=prepared.plan.training.pooling,
        max_length=prepared.plan.training.max_length,
    )


def _gate_columns(
    history: GateHistory, candidates: Sequence[Candidate], tasks: Sequence[str]
) -> dict[str, list[object]]:
    ids = [candidate.id for candidate in candidates]
    costs = [candidate.parameters for candidate in candidates]
    columns: dict[str, list[object]] = {"step": [], "task": [], "candidate": [], "value": [], "parameters": []}
    for step, values in zip(history.steps, history.values, strict=True):
        for task, row in zip(tasks, values.tolist(), strict=True):
            columns["step"] += [step] * len(ids)
            columns["task"] += [task] * len(ids)
            columns["candidate"] += ids
            columns["value"] += row
            columns["parameters"] += costs
    return columns


def _prediction_columns(predictions: list[Predictions]) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {"task": [], "row": [], "label": [], "prediction": [], "outputs": []}
    for entry in predictions:
        count = len(entry.labels)
        columns["task"] += [entry.task] * count
        columns["row"] += list(range(count))
        columns["label"] += entry.labels.tolist()
        columns["prediction"] += entry.predictions.tolist()
        columns["outputs"] += entry.outputs.tolist()
    return columns
