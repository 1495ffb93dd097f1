"""Exports the answer of a run: the first method, at its first seed (no evaluation score chooses which)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch

from espalier_runtime import contract
from espalier_runtime.backbone.load import Backbone, load_backbone
from espalier_runtime.baselines.methods import Baseline
from espalier_runtime.errors import EspalierError, InputError
from espalier_runtime.export import native
from espalier_runtime.export.peft import TOLERANCE, export_peft
from espalier_runtime.records.directory import RunDirectory
from espalier_runtime.tasks.load import load_task

#: Rows of the training split that an export is compared on.
COMPARED_ROWS = 16


def export_answer(
    plan: contract.Plan,
    directory: RunDirectory,
    to: Literal["peft", "native", "auto"],
    *,
    tasks: str | None = None,
    destination: Path | None = None,
    backbone: Backbone | None = None,
    check: Callable[[], None] = lambda: None,
) -> list[contract.Export]:
    """Exports each task of the answer, or the one named; "auto" is PEFT where it holds the whole structure.

    `backbone` is the plan's own where it is loaded already.

    Raises InputError where the run has no finished answer, the task is unknown, or PEFT cannot hold the structure.
    """
    names = [task.name for task in plan.tasks]
    if tasks is not None and tasks not in names:
        raise InputError(f'task: "{tasks}" is not a task of this run', mend=f"Use one of: {', '.join(names)}.")
    source = _answer(plan, directory)
    adapter = native.load(source, backbone or load_backbone(plan.backbone))
    exports = []
    for task in plan.tasks:
        if tasks is not None and task.name != tasks:
            continue
        check()
        wanted = to
        if wanted == "auto":
            kinds = {candidate.kind for candidate in adapter.structure.of_task(task.name)}
            wanted = "peft" if kinds == {"lora"} else "native"
        examples = [(example.text, example.text_pair) for example in load_task(task).train[:COMPARED_ROWS]]
        folder = (directory.exports if destination is None else destination) / f"{task.name}-{wanted}"
        if wanted == "peft":
            difference = export_peft(adapter, task.name, folder, examples)
        else:
            difference = _export_native(adapter, source, task.name, folder, examples)
        exports.append(contract.Export(task=task.name, to=wanted, path=str(folder), max_difference=difference))
    return exports


def _answer(plan: contract.Plan, directory: RunDirectory) -> Path:
    name = plan.methods[0].name
    for trial in plan.trials:
        files = directory.trial(trial.id)
        if trial.method == name and (files.adapter / "adapter.json").exists():
            return files.adapter
    if isinstance(plan.methods[0], Baseline):
        raise InputError(
            f"{directory.root}: {name} has no structure, so there is no adapter to export",
            mend="Put a search or a fixed structure first among the methods.",
        )
    raise InputError(
        f"{directory.root}: no trial of {name} is finished, so there is nothing to export",
        mend="Let the run finish: espalier run --resume RUN.",
    )


def _export_native(
    adapter: native.LoadedAdapter,
    source: Path,
    task: str,
    folder: Path,
    examples: list[tuple[str, str | None]],
) -> float:
    """Copies the adapter, loads the copy, and compares its outputs with the original's."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(source, temporary)
    reloaded = native.load(temporary, adapter.backbone)
    texts = [text for text, _ in examples]
    pairs = [pair for _, pair in examples if pair is not None] or None
    difference = float((adapter.outputs(task, texts, pairs) - reloaded.outputs(task, texts, pairs)).abs().max())
    if not difference < TOLERANCE or not torch.isfinite(torch.tensor(difference)):
        raise EspalierError(f"export: the reloaded adapter of {task} differs by {difference:.2g}")
    shutil.rmtree(folder, ignore_errors=True)
    temporary.replace(folder)
    return difference
