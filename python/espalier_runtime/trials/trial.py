"""One trial: find a structure, fit it, evaluate it once, and write everything down."""

from __future__ import annotations

import hashlib
import time

import torch

from espalier_runtime import contract
from espalier_runtime.records.directory import TrialDirectory
from espalier_runtime.records.files import write_json
from espalier_runtime.records.json import dumps
from espalier_runtime.training.checkpoint import TrialCheckpoint, Warn
from espalier_runtime.trials.fit import evaluate, fit_target, hardened_scores, soft_scores
from espalier_runtime.trials.gate_file import GateFile
from espalier_runtime.trials.prepare import Prepared
from espalier_runtime.trials.result import BeforeFit, result_of, write_trial
from espalier_runtime.trials.start import StageReport, TrialMethod, start_of
from espalier_runtime.trials.step_costs import forget_peak, peak_memory_mib, step_costs
from espalier_runtime.trials.step_log import StepLog


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
    gates = GateFile(directory.gates, prepared.names)
    try:
        torch.manual_seed(trial.seed)
        forget_peak(prepared.backbone.device)
        held_out = prepared.held_out(trial.seed)

        def logged(stage: str, step: int, steps: int, loss: float | None) -> None:
            log.step(stage, step, steps, loss)
            if stage == "search":
                gates.step_done(is_last=step == steps)
            report(stage, step, steps, loss)

        started = time.perf_counter()
        with prepared.evaluation.shut(f"search and fit of {trial.id}"):
            found, target = start_of(prepared, trial, method, held_out, logged, checkpoint, gates)
            if found is not None and found.history is not None:
                gates.follow(found.history, found.searched or prepared.space.candidates)
            gates.write()
            searched = time.perf_counter()
            if found is not None:
                prepared = prepared.at_rate(found.learning_rate)
            fitted = fit_target(prepared, found, target, method, trial.seed, held_out, logged, checkpoint.of("fit"))
        fit = time.perf_counter()
        splits = prepared.evaluation.open(trial.id)
        fitted.predictions = evaluate(prepared, fitted, splits, trial.id, logged, warn)
        before = BeforeFit(soft_scores(prepared, found, splits, warn), hardened_scores(prepared, found, splits, warn))
        evaluated = time.perf_counter()
    finally:
        # Also of a search that failed: what its gates did is how one finds out why.
        gates.write()
        log.close()
    seconds = contract.Seconds(
        search=searched - started + checkpoint.seconds_before("search"),
        fit=fit - searched + checkpoint.seconds_before("fit"),
        evaluate=evaluated - fit,
    )
    # Before a step of its own is measured.
    peak_mib = peak_memory_mib(prepared.backbone.device)
    costs = step_costs(prepared, found, fitted, full_ms)
    result = result_of(prepared, trial, found, fitted, before, seconds, costs, peak_mib)
    write_trial(prepared, directory, found, fitted, result)
    checkpoint.clear()
    return result


def _key(plan: contract.Plan, trial: contract.Trial) -> str:
    """What a checkpoint must have been written for, if the trial is to go on from it."""
    return hashlib.sha256(f"{trial.id} {dumps(plan.model_dump(by_alias=True))}".encode()).hexdigest()
