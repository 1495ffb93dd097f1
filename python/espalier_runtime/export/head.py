"""What an exported model's outputs mean: head.safetensors, one task's head, and head.json, its card.

outputs = W pool(states) + b        logits (rows, classes); a regression's value is  outputs * scale + location

A head that mixes layers reads the pooled states of all of them (backbone/heads.py); its `depth` is in the file too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from espalier_runtime.backbone.heads import Head, Pooling, unfitted_head
from espalier_runtime.backbone.load import Backbone, BackboneSpec
from espalier_runtime.export.native import LoadedAdapter, TaskCard
from espalier_runtime.export.versioned import read_versioned
from espalier_runtime.records.files import write_json

Format = Literal["peft", "merged", "onnx"]
_backbone_spec: TypeAdapter[BackboneSpec] = TypeAdapter(BackboneSpec)


@dataclass(frozen=True)
class HeadCard:
    """`task` is None in an export of all tasks together, whose outputs are the pooled states."""

    to: Format
    task: TaskCard | None
    pooling: Pooling
    max_length: int
    backbone: BackboneSpec


def card_of(adapter: LoadedAdapter, task: str | None, to: Format) -> HeadCard:
    """The card of an export of `task` of an adapter."""
    card = adapter.card
    return HeadCard(to, None if task is None else adapter.task(task), card.pooling, card.max_length, card.backbone)


def head_folder(folder: Path, task: str) -> Path:
    """Where a merge of several tasks keeps the head of one of them."""
    return folder / "heads" / task


def write_head(folder: Path, adapter: LoadedAdapter, task: str | None, to: Format) -> None:
    """Writes the head of `task` and its card into `folder`; where there is no task, the card alone."""
    from safetensors.torch import save_file

    card = card_of(adapter, task, to)
    if task is not None:
        head = adapter.model.head(adapter.index(task))
        weights = {name: value.detach().cpu().contiguous() for name, value in head.state_dict().items()}
        save_file(weights, folder / "head.safetensors")
    write_json(
        folder / "head.json",
        {
            "version": 1,
            "to": card.to,
            "task": None if card.task is None else card.task.name,
            "kind": None if card.task is None else card.task.kind,
            "labels": [] if card.task is None else list(card.task.labels),
            "metric": None if card.task is None else card.task.metric,
            "maxNewTokens": 0 if card.task is None else card.task.max_new_tokens,
            "pooling": card.pooling,
            "maxLength": card.max_length,
            "backbone": card.backbone.model_dump(by_alias=True),
        },
    )


def read_head(folder: Path) -> HeadCard:
    """The card in `folder`. Raises InputError where there is none, or one of a newer version."""
    path = folder / "head.json"
    data = read_versioned(path, mend="Give the folder of an export: espalier export RUN --to peft|merged|native|onnx.")
    task = None
    if data["task"] is not None:
        task = TaskCard(data["task"], data["kind"], tuple(data["labels"]), data["metric"], data.get("maxNewTokens", 0))
    backbone = _backbone_spec.validate_python(data["backbone"])
    return HeadCard(data["to"], task, data["pooling"], data["maxLength"], backbone)


def read_weights(folder: Path, backbone: Backbone, task: TaskCard) -> Head:
    """The head of `task` that `folder` holds, for the states of `backbone`."""
    from safetensors.torch import load_file

    weights = load_file(folder / "head.safetensors")
    layers = len(weights["depth"]) if "depth" in weights else None
    head = unfitted_head(task.kind, task.labels, backbone, layers)
    head.load_state_dict(weights)
    return head.eval()


def what_it_reads(adapter: LoadedAdapter) -> str:
    """What a head's linear layer is on, in words for a README."""
    pooling = adapter.card.pooling
    if not adapter.mixes:
        return f"the {pooling} of the last hidden states"
    return f"the {pooling} of every layer's hidden states, mixed by softmax(10 `depth`)"
