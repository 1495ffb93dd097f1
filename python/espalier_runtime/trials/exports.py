"""Exports a trial of a run; by default the answer's: the first method, at its first seed (no score chooses which)."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from espalier_runtime import contract
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.baselines.methods import Baseline
from espalier_runtime.errors import EspalierError, InputError
from espalier_runtime.export import fresh, native
from espalier_runtime.export.kinds import held_by_peft, kinds_of_task
from espalier_runtime.export.merged import write_merged
from espalier_runtime.export.onnx import write_onnx
from espalier_runtime.export.peft import peft_gates, write_peft
from espalier_runtime.export.texts import Texts
from espalier_runtime.records.directory import RunDirectory
from espalier_runtime.records.files import write_json
from espalier_runtime.tasks.load import load_task
from espalier_runtime.tasks.task import TaskData

Format = Literal["peft", "merged", "native", "onnx"]

#: Rows of the training split that an export is compared on.
COMPARED_ROWS = 16
#: Outputs after reloading must not differ by more.
TOLERANCE = 1e-5
ONNX_TOLERANCE = 1e-4


def save_examples(directory: RunDirectory, tasks: Sequence[TaskData]) -> None:
    """Keeps the texts that exports are compared on, so that no export needs the tasks' files again."""
    write_json(directory.examples, {task.name: _texts(task) for task in tasks})


def _texts(task: TaskData) -> Texts:
    """Texts of the training split: of a multiple choice each with each of its candidates, of a generation prompts."""
    rows = task.train[:COMPARED_ROWS]
    return [(row.text, pair) for row in rows for pair in row.choices or (row.text_pair,)][:COMPARED_ROWS]


def export_trial(
    plan: contract.Plan,
    directory: RunDirectory,
    to: Format | Literal["auto"],
    *,
    task: str | None = None,
    trial: str | None = None,
    destination: Path | None = None,
    backbone: Backbone | None = None,
    check: Callable[[], None] = lambda: None,
) -> list[contract.Export]:
    """Exports each task of the trial, or the one named; "auto" is PEFT where it holds the whole structure.

    PEFT adapters of several tasks come with one of their union. Everything is written beside its place, reloaded in a
    fresh process, compared, and only then moved in place. `backbone` is the plan's own where it is loaded already.

    Raises InputError where the trial is not finished, the task is unknown, or the format cannot hold the structure;
    EspalierError where a reloaded export differs.
    """
    names = [entry.name for entry in plan.tasks]
    if task is not None and task not in names:
        raise InputError(f'task: "{task}" is not a task of this run', mend=f"Use one of: {', '.join(names)}.")
    exported, source = adapter_of(plan, directory, trial)
    adapter = native.load(source, backbone)
    root = destination or (directory.exports if trial is None else directory.exports / exported)
    examples = examples_of(plan, directory)
    started: list[_Export] = []
    try:
        for name in _wanted(adapter, names, task, to):
            check()
            started.append(_write(adapter, source, name, _format(adapter, name, to), root, examples))
        check()
        found = fresh.differences([entry.written for entry in started], adapter.backbone.device)
        for entry, difference in zip(started, found, strict=True):
            entry.check(difference)
        for entry in started:
            entry.move()
    finally:
        for entry in started:
            shutil.rmtree(entry.temporary, ignore_errors=True)
    return [
        contract.Export(
            task=entry.written.task,
            to=entry.to,
            path=str(entry.folder),
            trial=exported,
            max_difference=difference,
            left_out=entry.left_out,
        )
        for entry, difference in zip(started, found, strict=True)
    ]


def add_to_record(directory: RunDirectory, exports: Sequence[contract.Export]) -> None:
    """Enters the exports in the run's record, where it has one; those of an equal path are replaced."""
    if not directory.record.exists():
        return
    record = contract.RunRecord.model_validate_json(directory.record.read_text())
    paths = {export.path for export in exports}
    kept = [export for export in record.exports if export.path not in paths]
    changed = record.model_copy(update={"exports": [*kept, *exports]})
    write_json(directory.record, changed.model_dump(by_alias=True))


@dataclass(frozen=True)
class _Export:
    """An export that lies in `temporary` until it is compared."""

    to: Format
    folder: Path
    temporary: Path
    written: fresh.Written
    left_out: list[str]

    def check(self, difference: float) -> None:
        """Raises EspalierError where the reloaded export differs."""
        limit = ONNX_TOLERANCE if self.to == "onnx" else TOLERANCE
        if not math.isfinite(difference) or difference >= limit:
            whose = self.written.task or "all tasks"
            raise EspalierError(
                f"export: the reloaded {self.to} export of {whose} differs by {difference:.2g}, more than {limit:g}"
            )

    def move(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.temporary.replace(self.folder)


def adapter_of(plan: contract.Plan, directory: RunDirectory, trial: str | None) -> tuple[str, Path]:
    """The id of the trial that is meant, None for the answer's first finished one, and the folder of its adapter.

    Raises InputError where there is no such trial, it is not finished, or its method has no structure.
    """
    ids = [entry.id for entry in plan.trials]
    if trial is not None and trial not in ids:
        raise InputError(f'trial: "{trial}" is not a trial of this run', mend=f"Use one of: {', '.join(ids)}.")
    name = plan.methods[0].name
    wanted = [entry for entry in plan.trials if (entry.method == name if trial is None else entry.id == trial)]
    for entry in wanted:
        folder = directory.trial(entry.id).adapter
        if (folder / "adapter.json").exists():
            return entry.id, folder
    chosen = next(method for method in plan.methods if method.name == wanted[0].method)
    if isinstance(chosen, Baseline):
        raise InputError(
            f"{directory.root}: {chosen.name} has no structure, so there is no adapter to export",
            mend="Export a trial of a search or of a fixed structure: --trial ID.",
        )
    failed = [_failure(directory, entry.id) for entry in wanted]
    if all(failed):
        raise InputError(
            f"{directory.root}: {wanted[0].id} failed, so there is nothing to export: {failed[0]}",
            mend="Name a trial that is finished: --trial ID; espalier report RUN lists them.",
        )
    raise InputError(
        f"{directory.root}: {f'no trial of {name}' if trial is None else f'trial {trial}'} is"
        f"{'' if trial is None else ' not'} finished, so there is nothing to export",
        mend="Let the run finish: espalier run --resume RUN.",
    )


def _failure(directory: RunDirectory, trial: str) -> str | None:
    """Why the trial failed; None where it has not."""
    file = directory.trial(trial).result
    if not file.exists():
        return None
    result = contract.TrialResult.model_validate_json(file.read_text())
    return result.error if result.status == "failed" else None


def made_beside(folder: Path) -> Path:
    """An empty folder beside `folder`, in which what is to lie there is made.

    Raises InputError where none can be made.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"output: {folder.parent}: no folder can be made there: {error.strerror}",
            mend="Give --output a place that can be written.",
        ) from error
    return temporary


def _wanted(
    adapter: native.LoadedAdapter, names: Sequence[str], task: str | None, to: Format | Literal["auto"]
) -> list[str | None]:
    """The tasks to export; None stands for their union.

    There is none where tasks mix paths by shares, or use kinds of which a PEFT adapter holds only one, or none.
    """
    if task is not None:
        return [task]
    whole = all(share in (0, 1) for row in adapter.structure.rows for share in row)
    one_form = len(set(held_by_peft(adapter, None).values())) == 1
    together = whole and one_form and len(names) > 1 and _format(adapter, None, to) == "peft"
    return [*names, None] if together else list(names)


def _format(adapter: native.LoadedAdapter, task: str | None, to: Format | Literal["auto"]) -> Format:
    if to in ("merged", "onnx") and adapter.backbone.quantized:
        raise InputError(
            f"export: {adapter.backbone.reference} is quantised: --to {to} cannot hold the weights that it ran on",
            mend="Export it with --to peft or --to native, or run without backbone.quantization.",
        )
    if to != "auto":
        return to
    held = held_by_peft(adapter, task)
    whole = held.keys() == kinds_of_task(adapter, task)
    return "peft" if whole and len(set(held.values())) == 1 else "native"


def _write(
    adapter: native.LoadedAdapter,
    source: Path,
    task: str | None,
    to: Format,
    root: Path,
    examples: Mapping[str, Texts],
) -> _Export:
    folder = root / f"{'union' if task is None else task}-{to}"
    temporary = made_beside(folder)
    left_out: list[str] = []
    try:
        match to:
            case "peft":
                left_out = write_peft(adapter, task, temporary)
            case "merged":
                write_merged(adapter, _one(task), temporary)
            case "onnx":
                write_onnx(adapter, _one(task), temporary)
            case "native":
                shutil.copytree(source, temporary, dirs_exist_ok=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    gates = peft_gates(adapter, task) if to == "peft" else None
    texts = examples[next(iter(examples)) if task is None else task]
    outputs = adapter.states(None, texts, gates) if task is None else adapter.outputs(task, texts, gates)
    unit = 1.0 if task is None else adapter.model.head(adapter.index(task)).unit
    return _Export(to, folder, temporary, fresh.Written(str(temporary), task, texts, outputs, unit), left_out)


def _one(task: str | None) -> str:
    assert task is not None, "only PEFT has a union"
    return task


def examples_of(plan: contract.Plan, directory: RunDirectory) -> dict[str, Texts]:
    """The texts of each task that exports are compared on."""
    if directory.examples.exists():
        kept: dict[str, list[list[str | None]]] = json.loads(directory.examples.read_text())
        return {task: [(str(text), pair) for text, pair in rows] for task, rows in kept.items()}
    # A run of an earlier Espalier kept none.
    return {task.name: _texts(load_task(task)) for task in plan.tasks}
