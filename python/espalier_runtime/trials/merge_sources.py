"""Which adapters a merge takes: the tasks of the runs that were named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from espalier_runtime import contract
from espalier_runtime.backbone.load import Backbone, load_backbone, reference_of
from espalier_runtime.errors import InputError
from espalier_runtime.export import native
from espalier_runtime.export.kinds import kinds_of_task
from espalier_runtime.export.peft_lora import SiteLora, task_loras
from espalier_runtime.records.directory import RunDirectory
from espalier_runtime.trials.exports import adapter_of


@dataclass(frozen=True)
class Given:
    """A run whose adapters are merged; `trial` None is the answer's first finished one."""

    plan: contract.Plan
    directory: RunDirectory
    trial: str | None = None


@dataclass(frozen=True)
class Source:
    """One task's adapter: the task is `task` in its run and `name` in the merge."""

    name: str
    task: str
    trial: str
    given: Given
    adapter: native.LoadedAdapter

    @property
    def loras(self) -> list[SiteLora]:
        """The LoRA of each linear that the task adapts."""
        return task_loras(self.adapter, self.task)


def sources_of(runs: Sequence[Given], tasks: Sequence[str], backbone: Backbone | None) -> list[Source]:
    """Each task of the runs, or those named, once; a name that occurs twice gets a number.

    Raises InputError where the runs' backbones differ or are quantised, a task is unknown or has no LoRA, or there is
    one adapter alone.
    """
    found: dict[tuple[Path, str, str], tuple[Given, Path]] = {}
    known = [entry.name for given in runs for entry in given.plan.tasks]
    for name in tasks:
        if name not in known:
            raise InputError(
                f'task: "{name}" is a task of none of these runs', mend=f"Use some of: {', '.join(sorted(set(known)))}."
            )
    for given in runs:
        trial, folder = adapter_of(given.plan, given.directory, given.trial)
        for entry in given.plan.tasks:
            if not tasks or entry.name in tasks:
                found[given.directory.root.resolve(), trial, entry.name] = given, folder
    if len(found) < 2:
        what = ", ".join(f'"{task}" of {root.name}/{trial}' for root, trial, task in found) or "none"
        raise InputError(
            f"merge: one adapter only ({what}), and a merge takes two or more",
            mend="Name several runs, several trials as RUN/TRIAL, or a run of several tasks.",
        )
    _of_one_backbone(list(found.values()))
    quantization = next(iter(found.values()))[0].plan.backbone.quantization
    if quantization is not None:
        raise InputError(
            f'merge: backbone.quantization: "{quantization}": a merge is added to weights, which are packed here',
            mend="Merge runs of the backbone as it is, without quantization.",
        )
    base = backbone or load_backbone(next(iter(found.values()))[0].plan.backbone)
    adapters: dict[Path, native.LoadedAdapter] = {}
    sources: list[Source] = []
    names = [task for _, _, task in found]
    for index, ((root, trial, task), (given, folder)) in enumerate(found.items()):
        if folder not in adapters:
            adapters[folder] = native.load(folder, base)
        name = task if names.count(task) == 1 else f"{task}-{names[: index + 1].count(task)}"
        source = Source(name, task, trial, given, adapters[folder])
        if source.adapter.task(task).kind == "generation":
            raise InputError(
                f'merge: "{task}" in {root.name}/{trial} is a generation, and none of these can be merged',
                mend="Leave it out with --task.",
            )
        if not source.loras:
            kinds = ", ".join(sorted(kinds_of_task(source.adapter, task))) or "nothing"
            raise InputError(
                f'merge: the structure of "{task}" in {root.name}/{trial} holds no LoRA, which alone can be merged,'
                f" but {kinds}",
                mend="Leave it out with --task, or name a trial of LoRA as RUN/TRIAL.",
            )
        sources.append(source)
    return sources


def _of_one_backbone(found: Sequence[tuple[Given, Path]]) -> None:
    first, first_card = found[0][0], native.read_card(found[0][1])
    for given, folder in found[1:]:
        card = native.read_card(folder)
        if card.fingerprint != first_card.fingerprint:
            raise InputError(
                f"merge: {given.directory.root.name} adapts {_named(card)}, {first.directory.root.name}"
                f" {_named(first_card)}, and adapters of different backbones cannot be merged",
                mend="Name runs of one backbone, with the same weights.",
            )


def _named(card: native.AdapterCard) -> str:
    return f"{reference_of(card.backbone)} (sha256 {card.fingerprint[:12]})"
