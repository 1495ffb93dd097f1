"""An exported transformers model, with or without a PEFT adapter on it, and a task's head: read without the pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from espalier_runtime.backbone.heads import Head, pool
from espalier_runtime.backbone.load import Backbone, load_backbone, read_model
from espalier_runtime.errors import InputError
from espalier_runtime.export.head import HeadCard, head_folder, read_head, read_weights
from espalier_runtime.export.texts import Texts, batch_of, paired, prompts_of, said
from espalier_runtime.training.generate import write


@dataclass(frozen=True)
class PlainModel:
    """`head` is None where the export holds all tasks together: its outputs are the pooled states."""

    card: HeadCard
    backbone: Backbone
    head: Head | None

    @torch.no_grad()
    def outputs(self, texts: Texts) -> Tensor:
        """What the head says (export/texts.py) of each text, or, without one, pooled states (rows, hidden)."""
        room = None if self.card.task is None else self.card.task.room
        batch = batch_of(self.backbone.tokenizer, texts, self.card.max_length, self.backbone.device, room=room)
        if self.head is None:
            return pool(self.backbone.states(batch.inputs), batch.inputs.layout, self.card.pooling)
        return said(self.head, self.backbone, batch.inputs, self.card.pooling)

    def predict(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[str] | list[float]:
        """Class names, values or written texts, as the task is. Raises InputError where there is no head."""
        if self.card.task is None:
            raise InputError(
                "this export holds all tasks together and no head",
                mend="Load one task's export, or name a task of a merge: load(folder, task).",
            )
        room = self.card.task.room
        if room is not None:
            prompts = prompts_of(self.backbone.tokenizer, paired(texts, None), self.card.max_length, room)
            return write(self.backbone, prompts, room)
        return self.card.task.named(self.outputs(paired(texts, pairs)))


def load_merged(folder: Path, device: torch.device | None = None) -> PlainModel:
    """The plain model in `folder` with its head."""
    return _with_head(folder, read_model(folder, str(folder), device, language=_writes(read_head(folder))))


def load_peft(folder: Path, device: torch.device | None = None, task: str | None = None) -> PlainModel:
    """The PEFT adapter in `folder` on the backbone it was trained on, with its head, or that of `task` in a merge.

    Raises InputError where the merge has no such task.
    """
    from peft import PeftModel

    head = folder
    if task is not None and read_head(folder).task is None:
        head = head_folder(folder, task)
        if not head.is_dir():
            names = sorted(path.name for path in head.parent.glob("*"))
            raise InputError(
                f'{folder}: holds no head of a task "{task}"',
                mend=f"Use one of: {', '.join(names)}." if names else "Load one task's own export.",
            )
    card = read_head(head)
    backbone = load_backbone(card.backbone, device, language=_writes(card))
    # PEFT replaces the adapted linears inside the model it is given.
    PeftModel.from_pretrained(backbone.language if _writes(card) else backbone.model, str(folder)).eval()
    return _with_head(head, backbone)


def _writes(card: HeadCard) -> bool:
    return card.task is not None and card.task.kind == "generation"


def _with_head(folder: Path, backbone: Backbone) -> PlainModel:
    card = read_head(folder)
    head = None if card.task is None else read_weights(folder, backbone, card.task).to(backbone.device)
    return PlainModel(card, backbone, head)
