"""The jobs that TypeScript starts: run a plan, perturb what it fitted, inspect a model, list kinds, export or merge."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from espalier_runtime import contract
from espalier_runtime.adapters.catalogue import catalogue
from espalier_runtime.adapters.kinds import KindSpec
from espalier_runtime.backbone.load import BackboneSpec, load_backbone
from espalier_runtime.errors import EspalierError, InputError, TrialError
from espalier_runtime.jobs import Cancelled, JobContext
from espalier_runtime.records.directory import RunDirectory
from espalier_runtime.records.events import EventLog
from espalier_runtime.records.files import write_json
from espalier_runtime.records.lock import environment_lock
from espalier_runtime.structure.space import build_space
from espalier_runtime.training.memory import memory_named
from espalier_runtime.trials.between_runs import Chosen, compare_between
from espalier_runtime.trials.continued import check_continued
from espalier_runtime.trials.exports import add_to_record, export_trial, save_examples
from espalier_runtime.trials.kind_times import kind_times
from espalier_runtime.trials.merge_sources import Given
from espalier_runtime.trials.merges import MergeSpec, merge_runs
from espalier_runtime.trials.prepare import Prepared, prepare
from espalier_runtime.trials.progress import Emit, RunProgress, done_before, trial_warnings
from espalier_runtime.trials.result import failed_result
from espalier_runtime.trials.robustness import Wanted, measure
from espalier_runtime.trials.shared import take_over
from espalier_runtime.trials.start import TrialMethod
from espalier_runtime.trials.steps import full_step_ms
from espalier_runtime.trials.summary import summarise
from espalier_runtime.trials.trial import run_trial
from espalier_runtime.trials.tuning import tuned_rate

Model = TypeVar("Model", bound=BaseModel)


def run_plan(payload: dict[str, Any], context: JobContext) -> dict[str, object]:
    """Runs every trial of `payload["plan"]` into `payload["directory"]` and returns the run's record.

    Trials that are done already are kept, and one that was stopped goes on from its checkpoint: that is how an
    interrupted run continues.
    """
    plan = parse(contract.Plan, payload["plan"])
    directory = RunDirectory(Path(payload["directory"]))
    with directory.writer():
        # A request that an earlier run was given is not for this one.
        directory.stop.unlink(missing_ok=True)
        log = EventLog(directory.events)

        def emit(event: dict[str, object]) -> None:
            context.emit(log.append(event))

        try:
            share = None if payload.get("share") is None else Path(payload["share"])
            record = _Run(plan, directory, payload.get("host", {}), emit, context, share).run()
        except Cancelled:
            emit({"type": "run.finished", "status": "interrupted"})
            raise
        except Exception:
            emit({"type": "run.finished", "status": "failed"})
            raise
        finally:
            log.close()
    return record.model_dump(by_alias=True)


def inspect(payload: dict[str, Any], context: JobContext) -> dict[str, object]:  # noqa: ARG001
    """Sites, shapes and candidates of a backbone under a space, of whose slots it may lack some."""
    spec: BackboneSpec = TypeAdapter(BackboneSpec).validate_python(payload["backbone"])
    backbone = load_backbone(spec)
    space_spec = parse(contract.Space, payload["space"])
    offered = {site.slot for site in backbone.sites}
    space_spec.slots = [slot for slot in space_spec.slots if slot in offered]
    space = build_space(space_spec, backbone.sites)
    sites = []
    for site in backbone.sites:
        members = [candidate for candidate in space.candidates if candidate.site == site]
        sites.append(
            {
                "site": site.name,
                "layer": site.layer,
                "slot": site.slot,
                "module": site.place,
                "in": site.inputs,
                "out": site.outputs,
                "candidates": [
                    {"kind": c.kind, "start": c.start, "size": c.size, "parameters": c.parameters} for c in members
                ],
            }
        )
    return {
        "family": backbone.family,
        "layers": backbone.layers,
        "hidden": backbone.hidden,
        "parameters": backbone.parameters,
        "fingerprint": backbone.fingerprint,
        "sites": sites,
        "total": space.parameters,
    }


def list_kinds(payload: dict[str, Any], context: JobContext) -> dict[str, object]:
    """Every kind that `payload["kinds"]` gives, on a backbone; with `payload["times"]` what a step of each takes."""
    spec: BackboneSpec = TypeAdapter(BackboneSpec).validate_python(payload["backbone"])
    kinds: list[KindSpec] = TypeAdapter(list[KindSpec]).validate_python(payload["kinds"])
    backbone = load_backbone(spec)
    times = kind_times(backbone, kinds, check=context.check) if payload.get("times", False) else {}
    rows = [{**row, "timesLora": times.get(str(row["kind"]))} for row in catalogue(kinds, backbone.sites)]
    return {"parameters": backbone.parameters, "kinds": rows}


def export_run(payload: dict[str, Any], context: JobContext) -> dict[str, object]:
    """Exports a trial of a run, by default the answer's, for one task or for all, and enters it in the record."""
    directory = RunDirectory(Path(payload["directory"]))
    plan = _plan_of(directory)
    with directory.writer():
        exports = export_trial(
            plan,
            directory,
            payload["to"],
            task=payload.get("task"),
            trial=payload.get("trial"),
            destination=_destination(payload),
            check=context.check,
        )
        add_to_record(directory, exports)
    return {"exports": [export.model_dump(by_alias=True) for export in exports]}


def merge(payload: dict[str, Any], context: JobContext) -> dict[str, object]:
    """Merges the adapters of `payload["runs"]`, each {directory, trial}, into one PEFT adapter."""
    runs = []
    for entry in payload["runs"]:
        directory = RunDirectory(Path(entry["directory"]))
        runs.append(Given(_plan_of(directory), directory, entry.get("trial")))
    spec = MergeSpec(payload["method"], payload.get("weight"), payload["density"], payload.get("rank"))
    with runs[0].directory.writer():
        record = merge_runs(runs, spec, tasks=payload["tasks"], destination=_destination(payload), check=context.check)
    return record.model_dump(by_alias=True)


def measure_robustness(payload: dict[str, Any], context: JobContext) -> dict[str, object]:
    """The robustness card of a run's finished trials: what is not measured yet is, and the run's directory keeps it."""
    directory = RunDirectory(Path(payload["directory"]))
    wanted = Wanted(
        perturbations=[str(name) for name in payload["perturbations"]],
        ratios=sorted(float(ratio) for ratio in payload["ratios"]),
        rows=payload["rows"],
    )

    def told(trial: str, done: int, whole: int) -> None:
        context.check()
        context.emit({"trial": trial, "done": done / whole})

    plan = _plan_of(directory)
    with directory.writer():
        prepared = prepare(plan, directory.costs)
        check_continued(directory, _lock_of(plan, prepared, {}))
        made = measure(prepared, directory, wanted, told)
    return made.model_dump(by_alias=True)


def _lock_of(plan: contract.Plan, prepared: Prepared, host: dict[str, object]) -> dict[str, object]:
    return environment_lock(
        plan.model_dump(by_alias=True),
        host=host,
        model=prepared.backbone.fingerprint,
        data={task.name: task.fingerprint for task in prepared.tasks},
        evaluation={task.name: task.evaluation_fingerprint for task in prepared.tasks},
        device=prepared.backbone.device,
    )


def _plan_of(directory: RunDirectory) -> contract.Plan:
    return parse(contract.Plan, TypeAdapter(dict[str, Any]).validate_json(directory.plan.read_text()))


def _destination(payload: dict[str, Any]) -> Path | None:
    return None if payload.get("destination") is None else Path(payload["destination"])


def compare_runs(payload: dict[str, Any], context: JobContext) -> dict[str, object]:  # noqa: ARG001
    """A method of one run against one of another, on the tasks that `payload["metrics"]` names."""
    a, b = (
        Chosen(Path(side["directory"]), str(side["method"]), str(side["name"])) for side in (payload["a"], payload["b"])
    )
    found = compare_between(a, b, payload["metrics"])
    return {
        "seeds": found.seeds,
        "comparisons": [entry.model_dump(by_alias=True) for entry in found.compared.tasks],
        "overTasks": [entry.model_dump(by_alias=True) for entry in found.compared.over_tasks],
    }


def parse(model: type[Model], value: object) -> Model:
    """`value` as a model of the contract. Raises InputError naming the field that TypeScript let through."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{field}: {first['msg']}", mend="The plan does not fit this version of Espalier.") from error


def _is_done(result: Path) -> bool:
    """Whether a trial's result stands and is not that of a failure, which is tried again."""
    return result.exists() and contract.TrialResult.model_validate_json(result.read_text()).status == "done"


class _Run:
    """One execution of a plan."""

    def __init__(
        self,
        plan: contract.Plan,
        directory: RunDirectory,
        host: dict[str, object],
        emit: Emit,
        context: JobContext,
        share: Path | None,
    ) -> None:
        self._plan, self._directory, self._host = plan, directory, host
        self._emit, self._context, self._share = emit, context, share

    def run(self) -> contract.RunRecord:
        started = time.perf_counter()
        plan, directory = self._plan, self._directory
        self._emit({"type": "run.started", "trials": len(plan.trials), "directory": str(directory.root)})
        self._emit({"type": "stage.started", "trial": None, "stage": "load"})
        with memory_named("the steps whose costs are measured before training", InputError):
            prepared = prepare(plan, directory.costs)
            full_ms = full_step_ms(prepared.work)
        lock = _lock_of(plan, prepared, self._host)
        warnings = [*prepared.warnings, *check_continued(directory, lock)]
        write_json(directory.lock, lock)
        if self._share is not None:
            warnings += take_over(plan, lock, directory, self._share)
        for message in warnings:
            self._emit({"type": "warning", "trial": None, "message": message})
        save_examples(directory, prepared.tasks)
        self._check()
        progress = RunProgress(plan, prepared.backbone.layers, self._emit, done_before(directory.events))
        methods: dict[str, TrialMethod] = {str(method.name): method for method in plan.methods}
        if not all(_is_done(directory.trial(trial.id).result) for trial in plan.trials):
            prepared.compute_shared()
        for trial in plan.trials:
            if _is_done(directory.trial(trial.id).result):
                progress.skip(trial.id)
            else:
                self._trial(prepared, trial, methods[trial.method], progress, full_ms)
                progress.finish(trial.id)
        self._emit({"type": "stage.started", "trial": None, "stage": "compare"})
        summary = summarise(prepared, directory)
        exports = []
        answered = any(row.method == plan.methods[0].name and row.failed < row.seeds for row in summary.rows)
        if answered and not isinstance(plan.methods[0], contract.HeadMethod):
            self._emit({"type": "stage.started", "trial": None, "stage": "export"})
            try:
                exports = export_trial(plan, directory, "auto", backbone=prepared.backbone, check=self._check)
            except EspalierError as error:  # the trials stand whatever becomes of their exports
                warnings.append(error.whole)
        record = contract.RunRecord(
            version=1,
            run=str(directory.root),
            status="done" if answered else "failed",
            rows=summary.rows,
            comparisons=summary.comparisons,
            over_tasks=summary.over_tasks,
            full_step_ms=full_ms,
            seconds=time.perf_counter() - started,
            exports=exports,
            warnings=[*warnings, *trial_warnings(directory.events)],
        )
        write_json(directory.record, record.model_dump(by_alias=True))
        self._emit({"type": "run.finished", "status": record.status})
        return record

    def _check(self) -> None:
        """Raises Cancelled if the user asked to stop, through the job or by a file in the directory."""
        self._context.check()
        if self._directory.stop.exists():
            raise Cancelled

    def _trial(
        self, prepared: Prepared, trial: contract.Trial, method: TrialMethod, progress: RunProgress, full_ms: float
    ) -> None:
        directory = self._directory.trial(trial.id)
        entered: set[str] = set()

        def report(stage: str, step: int, steps: int, loss: float | None) -> None:
            self._check()
            if stage not in entered:
                entered.add(stage)
                self._emit({"type": "stage.started", "trial": trial.id, "stage": stage})
            progress.step(trial.id, stage, step, steps, loss)

        def warn(message: str) -> None:
            self._emit({"type": "warning", "trial": trial.id, "message": message})

        try:
            with memory_named("what is no step of training"):
                tuning = tuned_rate(prepared, method, self._directory, report, warn)
                rate = method.learning_rate if tuning is None else tuning.chosen
                result = run_trial(prepared.at_rate(rate), trial, method, directory, report, warn, full_ms)
        except TrialError as error:
            write_json(directory.result, failed_result(trial, error.whole).model_dump(by_alias=True))
            self._emit({"type": "trial.failed", "trial": trial.id, "error": error.whole})
        else:
            scores = {task: entry.score for task, entry in result.tasks.items()}
            self._emit({"type": "trial.finished", "trial": trial.id, "scores": scores})
