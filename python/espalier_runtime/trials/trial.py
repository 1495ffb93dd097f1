"""One trial: find a structure, fit it, evaluate it once, and write everything down."""

from __future__ import annotations

import hashlib
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from espalier_runtime import contract
from espalier_runtime.backbone.heads import Head
from espalier_runtime.baselines.methods import Baseline, build
from espalier_runtime.baselines.target import Target
from espalier_runtime.errors import TrialError
from espalier_runtime.export import native
from espalier_runtime.records.directory import TrialDirectory
from espalier_runtime.records.files import write_json, write_table
from espalier_runtime.records.json import dumps
from espalier_runtime.search.methods import Method, continues, find_structure
from espalier_runtime.search.problem import Found, GateHistory, SearchProblem
from espalier_runtime.structure.gates import FixedGates
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import Candidate
from espalier_runtime.structure.structure import Structure, to_record
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.training.checkpoint import Checkpoint, TrialCheckpoint, Warn
from espalier_runtime.training.evaluate import Predictions, predict
from espalier_runtime.training.loop import TrainReport, train
from espalier_runtime.training.model import AdaptedModel
from espalier_runtime.trials.prepare import Prepared
from espalier_runtime.trials.step_log import StepLog
from espalier_runtime.trials.step_memory import peak_bytes

#: Every method of a plan: those that end in a structure, and the baselines that have none.
TrialMethod = Method | Baseline

#: Called with (stage, step, steps, loss); it may raise to cancel.
StageReport = Callable[[str, int, int, float | None], None]


@dataclass
class Fitted:
    """A trial's model and what was predicted with it."""

    target: Target
    model: AdaptedModel
    done: TrainReport
    predictions: list[Predictions]


def run_trial(
    prepared: Prepared,
    trial: contract.Trial,
    method: TrialMethod,
    directory: TrialDirectory,
    report: StageReport,
    warn: Warn,
    full_ms: float,
) -> contract.TrialResult:
    """Runs the trial and writes its files; result.json is written last, so that its presence says the trial is whole.

    `full_ms` is what a step of the full structure takes in this run, which predictions are fractions of.
    A trial that was stopped before goes on from its checkpoint, which is taken away when the trial is whole.
    Raises TrialError where the trial must not count: a loss or gates at fault, a structure over its budget.
    """
    directory.root.mkdir(parents=True, exist_ok=True)
    write_json(
        directory.trial,
        {"trial": trial.model_dump(by_alias=True), "method": method.model_dump(by_alias=True)},
    )
    checkpoint = TrialCheckpoint(
        directory.checkpoint, _key(prepared.plan, trial), prepared.plan.training.checkpoint_seconds, warn
    )
    log = StepLog(directory.events)
    try:
        torch.manual_seed(trial.seed)
        held_out = prepared.held_out(trial.seed)

        def logged(stage: str, step: int, steps: int, loss: float | None) -> None:
            log.step(stage, step, steps, loss)
            report(stage, step, steps, loss)

        started = time.perf_counter()
        with prepared.evaluation.shut(f"search and fit of {trial.id}"):
            found, target = start_of(prepared, trial, method, held_out, logged, checkpoint)
            searched = time.perf_counter()
            fitted = fit_target(prepared, found, target, method, trial.seed, held_out, logged, checkpoint.of("fit"))
        fit = time.perf_counter()
        splits = prepared.evaluation.open(trial.id)
        fitted.predictions = _evaluate(prepared, fitted, splits, trial, logged)
        hardened = _hardened_scores(prepared, found, splits)
        evaluated = time.perf_counter()
    finally:
        log.close()
    seconds = contract.Seconds(
        search=searched - started + checkpoint.seconds_before("search"),
        fit=fit - searched + checkpoint.seconds_before("fit"),
        evaluate=evaluated - fit,
    )
    costs = _costs(prepared, found, fitted, full_ms)
    result = _result(prepared, trial, found, fitted, hardened, seconds, costs)
    _write(prepared, directory, found, fitted, result)
    checkpoint.clear()
    return result


def _key(plan: contract.Plan, trial: contract.Trial) -> str:
    """What a checkpoint must have been written for, if the trial is to go on from it."""
    return hashlib.sha256(f"{trial.id} {dumps(plan.model_dump(by_alias=True))}".encode()).hexdigest()


def start_of(
    prepared: Prepared,
    trial: contract.Trial,
    method: TrialMethod,
    held_out: list[int],
    report: StageReport,
    checkpoint: TrialCheckpoint,
) -> tuple[Found | None, Target]:
    """What the fit of `trial` begins with, and the search that led there; a baseline has none."""
    problem = _problem(prepared, method, trial, held_out, report, checkpoint)
    if isinstance(method, Baseline):
        return None, build(problem, method)
    found = find_structure(problem, method, trial.draw)
    _check_limits(prepared, found.structure)
    return found, target_of(found.structure, prepared, trial.seed)


def target_of(structure: Structure, prepared: Prepared, seed: int) -> Target:
    """The structure's adapters, fresh, each task opening its own."""
    rows = structure.gates().to(prepared.backbone.device)
    return Target(
        adapters=AdapterPool(structure.candidates, prepared.space.kinds, seed),
        rows=None if bool((rows == 1).all()) else rows,
        parameters={task: structure.parameters(task) for task in structure.tasks},
        union=structure.union,
    )


def _problem(
    prepared: Prepared,
    method: TrialMethod,
    trial: contract.Trial,
    held_out: list[int],
    report: StageReport,
    checkpoint: TrialCheckpoint,
) -> SearchProblem:
    # Saliency reads the frozen model's loss gradient, which a head of zeros does not have.
    probe = True if isinstance(method, contract.SaliencyMethod) else None
    corpus = prepared.corpus.without(held_out) if held_out else prepared.corpus
    return SearchProblem(
        backbone=prepared.backbone,
        space=prepared.space,
        limits=prepared.limits,
        tasks=prepared.names,
        corpus=corpus,
        training=prepared.plan.training,
        seed=trial.seed,
        new_heads=lambda: prepared.new_heads(held_out, probe=probe),
        report=lambda step, steps, loss: report("search", step, steps, loss),
        checkpoint=checkpoint,
        warn=checkpoint.warn,
    )


def _check_limits(prepared: Prepared, structure: Structure) -> None:
    missed = prepared.limits.over(structure.candidates).missed_by(range(len(structure.candidates)))
    if missed is not None:
        limit, cost = missed
        raise TrialError(
            f"{structure.method}: the structure misses budget.{limit.field}:"
            f" it costs {limit.said(cost)}, allowed are {limit.said(limit.most)}"
        )


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
    training = prepared.plan.training
    warm = found is not None and not isinstance(method, Baseline) and continues(method)
    searched = found.model if found is not None and warm else None
    heads = prepared.new_heads(held_out) if searched is None else _heads_of(searched, prepared)
    model = target.model(prepared.backbone, target.adapters, heads, training.pooling).to(prepared.backbone.device)
    if searched is not None:
        model.pool.copy_from(searched.pool)
    done = train(
        model,
        seen_by(prepared, target, prepared.corpus),
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


def seen_by(prepared: Prepared, target: Target, corpus: Corpus) -> Corpus:
    """Where nothing is adapted, the frozen features stand for the backbone."""
    return corpus if target.adapters.lowest_layer is not None else corpus.with_features(prepared.features(corpus))


def _evaluate(
    prepared: Prepared, fitted: Fitted, splits: Sequence[Corpus], trial: contract.Trial, report: StageReport
) -> list[Predictions]:
    predictions = []
    for index, task in enumerate(prepared.tasks):
        corpus = seen_by(prepared, fitted.target, splits[index])
        rows, max_tokens = fitted.target.rows, prepared.plan.training.max_tokens
        predictions.append(predict(fitted.model, corpus, rows, task.metric, max_tokens))
        report("evaluate", index + 1, len(prepared.tasks), None)
    if not all(torch.isfinite(torch.from_numpy(entry.outputs)).all() for entry in predictions):
        raise TrialError(f"{trial.id}: the fitted model gives outputs that are not finite")
    return predictions


def _hardened_scores(prepared: Prepared, found: Found | None, splits: Sequence[Corpus]) -> list[float] | None:
    """Scores of the searched model cut down to its structure, before any fit: the discretisation gap's hard side."""
    if found is None or found.model is None:
        return None
    pool = AdapterPool(found.structure.candidates, prepared.space.kinds, 0)
    pool.copy_from(found.model.pool)
    heads = _heads_of(found.model, prepared)
    model = AdaptedModel(prepared.backbone, pool, heads, prepared.plan.training.pooling).to(prepared.backbone.device)
    rows = found.structure.gates().to(prepared.backbone.device)
    return [
        predict(model, corpus, rows, task.metric, prepared.plan.training.max_tokens).score
        for task, corpus in zip(prepared.tasks, splits, strict=True)
    ]


def _heads_of(model: AdaptedModel, prepared: Prepared) -> list[tuple[str, Head]]:
    heads = prepared.new_heads(probe=False)
    for index, (_, head) in enumerate(heads):
        head.load_state_dict(model.head(index).state_dict())
    return heads


def _result(
    prepared: Prepared,
    trial: contract.Trial,
    found: Found | None,
    fitted: Fitted,
    hardened: list[float] | None,
    seconds: contract.Seconds,
    costs: StepCosts,
) -> contract.TrialResult:
    target = fitted.target
    before = target if found is None else found
    scores = {
        task.name: {
            "metric": task.metric,
            "split": task.evaluation_split,
            "score": predictions.score,
            "hardenedBeforeFit": None if hardened is None else hardened[index],
            "rows": len(predictions.labels),
            "parameters": target.parameters[task.name],
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
            "peakMemoryMiB": peak_memory_mib(prepared.backbone.device),
            "learningRate": prepared.plan.training.learning_rate,
            "memoryMiB": costs.memory,
            "gatesAboveHalf": None if found is None else found.gates_above_half,
        }
    )


@dataclass(frozen=True)
class StepCosts:
    """What the structure's step was predicted to take, and its memory; None where nothing is adapted."""

    predicted_ms: float | None = None
    memory: contract.Predicted | None = None


def _costs(prepared: Prepared, found: Found | None, fitted: Fitted, full_ms: float) -> StepCosts:
    if found is None or not found.structure.candidates:
        return StepCosts()
    chosen = found.structure.candidates
    everything = range(len(chosen))
    step = prepared.costs.step.price(chosen).of(everything) / prepared.costs.full_step
    held = peak_bytes(prepared.work, fitted.model, prepared.work.largest_part)
    memory = prepared.costs.memory.price(chosen).of(everything)
    return StepCosts(full_ms * step, contract.Predicted(predicted=memory / 2**20, measured=held / 2**20))


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


def peak_memory_mib(device: torch.device) -> float:
    """On CUDA the most the device held since the process began; on the CPU the process's largest resident size."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device)) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _write(
    prepared: Prepared, directory: TrialDirectory, found: Found | None, fitted: Fitted, result: contract.TrialResult
) -> None:
    if found is not None and found.history is not None:
        write_table(
            directory.gates, _gate_columns(found.history, found.searched or prepared.space.candidates, prepared.names)
        )
    write_table(directory.predictions, _prediction_columns(fitted.predictions))
    if found is None:
        native.save_weights(directory.adapter, fitted.model)
    else:
        structure = to_record(found.structure, prepared.backbone, prepared.space)
        write_json(directory.structure, structure.model_dump(by_alias=True))
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
