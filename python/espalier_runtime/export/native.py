"""The native format: adapter.safetensors and adapter.json, which hold every kind, all tasks and their heads.

from espalier_runtime.export.native import load
adapter = load("adapter")
adapter.predict("snips", ["play some jazz"])      # ["PlayMusic"]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import TypeAdapter
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.adapters.kinds import KindSpec, kinds_of
from espalier_runtime.backbone.heads import Pooling, unfitted_head
from espalier_runtime.backbone.load import Backbone, BackboneSpec, load_backbone
from espalier_runtime.errors import InputError
from espalier_runtime.export.texts import Texts, batch_of, paired, prompts_of, said
from espalier_runtime.export.versioned import read_versioned
from espalier_runtime.records.files import write_atomic, write_json
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import Candidate
from espalier_runtime.structure.structure import Structure, from_record
from espalier_runtime.tasks.corpus import Batch
from espalier_runtime.tasks.task import TaskKind
from espalier_runtime.training.generate import write
from espalier_runtime.training.model import AdaptedModel

_backbone_spec: TypeAdapter[BackboneSpec] = TypeAdapter(BackboneSpec)
_kind_specs: TypeAdapter[list[KindSpec]] = TypeAdapter(list[KindSpec])


@dataclass(frozen=True)
class TaskCard:
    """What a task's outputs mean; `labels` are the class names of a classification, empty for other kinds.

    `max_new_tokens` limits what is written in a generation.
    """

    name: str
    kind: TaskKind
    labels: tuple[str, ...]
    metric: str
    max_new_tokens: int = 0

    @property
    def room(self) -> int | None:
        """The tokens that a prompt leaves free; None where texts are no prompts."""
        return self.max_new_tokens if self.kind == "generation" else None

    def named(self, outputs: Tensor) -> list[str] | list[float]:
        """Class names of logits (rows, classes), or values (rows, 1): a regression's, or a candidate's score."""
        if not self.labels:
            return [float(value) for value in outputs.squeeze(1)]
        return [self.labels[int(index)] for index in outputs.argmax(1)]


@dataclass(frozen=True)
class AdapterCard:
    """Everything but the weights that is needed to run an adapter; `mixes`: its heads read a mix of all layers."""

    backbone: BackboneSpec
    fingerprint: str
    structure: contract.Structure
    kinds: Sequence[KindSpec]
    tasks: Sequence[TaskCard]
    pooling: Pooling
    max_length: int
    mixes: bool = False


def save(folder: Path, card: AdapterCard, model: AdaptedModel) -> None:
    """Writes the adapter's weights and card into `folder`."""
    save_weights(folder, model)
    write_json(
        folder / "adapter.json",
        {
            "version": 1,
            "backbone": card.backbone.model_dump(by_alias=True),
            "fingerprint": card.fingerprint,
            "structure": card.structure.model_dump(by_alias=True),
            "kinds": [kind.model_dump(by_alias=True) for kind in card.kinds],
            "tasks": [vars(task) for task in card.tasks],
            "pooling": card.pooling,
            "maxLength": card.max_length,
            "mixes": card.mixes,
        },
    )


def save_weights(folder: Path, model: AdaptedModel) -> None:
    """Writes what was trained into `folder`: all that is kept of a method without a structure."""
    from safetensors.torch import save_file

    weights = {f"adapters.{name}": value for name, value in model.adapters.state_dict().items()}
    weights |= {f"heads.{name}": value for name, value in model.heads.state_dict().items()}
    # What is no tensor is the state of a training, such as AdaLoRA's scores.
    tensors = {n: value.detach().cpu().contiguous() for n, value in weights.items() if isinstance(value, Tensor)}
    write_atomic(folder / "adapter.safetensors", lambda path: save_file(tensors, path))


def load_weights(folder: Path, model: AdaptedModel) -> None:
    """Reads back into `model` what `save_weights` wrote of a model of the same form.

    Raises InputError where a weight is not finite.
    """
    from safetensors.torch import load_file

    weights = load_file(folder / "adapter.safetensors")
    for name, value in weights.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise InputError(
                f"{folder}: adapter.safetensors holds numbers that are not finite, at {name}",
                mend="Take another trial's adapter, or fit this one again: the file is not what a fit writes.",
            )
    known = {name: value for name, value in model.adapters.state_dict().items() if not isinstance(value, Tensor)}
    model.adapters.load_state_dict(known | _part(weights, "adapters."))
    model.heads.load_state_dict(_part(weights, "heads."))


@dataclass(frozen=True)
class LoadedAdapter:
    """An adapter on its backbone, ready to predict."""

    card: AdapterCard
    backbone: Backbone
    structure: Structure
    model: AdaptedModel

    def index(self, task: str) -> int:
        """The id of `task`. Raises InputError where it is not one of the adapter's."""
        names = [entry.name for entry in self.card.tasks]
        if task not in names:
            raise InputError(f'task: "{task}" is not one of this adapter\'s', mend=f"Use one of: {', '.join(names)}.")
        return names.index(task)

    def task(self, name: str) -> TaskCard:
        """The card of a task. Raises InputError where it is not one of the adapter's."""
        return self.card.tasks[self.index(name)]

    def gates(self, task: str | None) -> Tensor:
        """Gates (1, candidates): those that `task` uses, or, for None, all that any task uses."""
        rows = self.structure.gates().to(self.backbone.device)
        return (rows > 0).float().amax(0, keepdim=True) if task is None else rows[self.index(task)].unsqueeze(0)

    def used(self, task: str | None) -> list[tuple[int, Candidate, float]]:
        """(index, candidate, share) of what `task`, or any task, uses."""
        shares = self.gates(task).squeeze(0).tolist()
        pairs = zip(self.structure.candidates, shares, strict=True)
        return [(index, candidate, share) for index, (candidate, share) in enumerate(pairs) if share > 0]

    def states(self, task: str | None, texts: Texts, gates: Tensor | None = None) -> Tensor:
        """Pooled states (rows, hidden) under the gates (1, candidates) of `task`, or under those given.

        What the head of `task` reads, or, for None, those of the last layer.
        """
        batch, rows = self._batch(task, texts, None), self._rows(task, gates)
        with torch.no_grad(), self.model.adapters.attached(self.backbone.model):
            return self.model.pooled(batch, rows, mixed=task is not None)

    @property
    def mixes(self) -> bool:
        """Whether the tasks' heads read a mix of all layers."""
        return self.model.mixes

    def outputs(self, task: str, texts: Texts, gates: Tensor | None = None) -> Tensor:
        """What the task's head says (export/texts.py) of each text; `gates` as in `states`."""
        batch, head = self._batch(task, texts, self.task(task).room), self.model.head(self.index(task))
        with torch.no_grad(), self.model.adapters.attached(self.backbone.model):
            self.model.open(self._rows(task, gates), batch.task_ids, batch.inputs.layout)
            return said(head, self.backbone, batch.inputs, self.card.pooling)

    def predict(self, task: str, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[str] | list[float]:
        """Class names, or values: a regression's, or the score of a second text as the choice; or what is written."""
        room = self.task(task).room
        if room is None:
            return self.task(task).named(self.outputs(task, paired(texts, pairs)))
        prompts = prompts_of(self.backbone.tokenizer, paired(texts, None), self.card.max_length, room)
        with torch.no_grad(), self.model.adapters.attached(self.backbone.model):
            ids = torch.full((len(texts),), self.index(task), device=self.backbone.device)
            self.model.open(self._rows(task, None), ids, None)
            return write(self.backbone, prompts, room)

    def _batch(self, task: str | None, texts: Texts, room: int | None) -> Batch:
        index = 0 if task is None else self.index(task)
        return batch_of(self.backbone.tokenizer, texts, self.card.max_length, self.backbone.device, index, room)

    def _rows(self, task: str | None, gates: Tensor | None) -> Tensor:
        """(tasks, candidates), the same for all."""
        return (self.gates(task) if gates is None else gates).expand(len(self.card.tasks), -1)


def load(folder: Path | str, backbone: Backbone | None = None, device: torch.device | None = None) -> LoadedAdapter:
    """The adapter in `folder`, on its own backbone or on a given one that is already loaded.

    Raises InputError where the folder holds no adapter, or the backbone's weights are not those it was trained on.
    """
    root = Path(folder)
    card = read_card(root)
    writes = any(task.kind == "generation" for task in card.tasks)
    base = load_backbone(card.backbone, device, language=writes) if backbone is None else backbone
    if base.fingerprint != card.fingerprint:
        raise InputError(
            f"{root}: the adapter was trained on other weights of {base.reference} than those loaded"
            f" (sha256 {card.fingerprint[:12]}, loaded {base.fingerprint[:12]})",
            mend="Load the same model revision that the adapter was trained on.",
        )
    kinds = kinds_of(card.kinds, len(card.tasks))
    structure = from_record(card.structure, base.sites, kinds)
    adapters = AdapterPool(structure.candidates, kinds, 0)
    layers = base.layers + 1 if card.mixes else None
    heads = [(task.name, unfitted_head(task.kind, task.labels, base, layers)) for task in card.tasks]
    model = AdaptedModel(base, adapters, heads, card.pooling)
    load_weights(root, model)
    return LoadedAdapter(card, base, structure, model.to(base.device).eval())


def read_card(folder: Path) -> AdapterCard:
    """The card of the adapter in `folder`. Raises InputError where there is none, or one of a newer version."""
    path = folder / "adapter.json"
    data = read_versioned(path, mend="Give an adapter's folder.")
    return AdapterCard(
        backbone=_backbone_spec.validate_python(data["backbone"]),
        fingerprint=data["fingerprint"],
        structure=contract.Structure.model_validate(data["structure"]),
        kinds=_kind_specs.validate_python(data["kinds"]),
        tasks=[TaskCard(**t | {"labels": tuple(t["labels"])}) for t in data["tasks"]],
        pooling=data["pooling"],
        max_length=data["maxLength"],
        mixes=data.get("mixes", False),
    )


def _part(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
