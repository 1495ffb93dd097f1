"""Loads any export, whatever its format.

from espalier_runtime.export.load import load
load("exports/snips-merged").predict(["play some jazz"])      # ["PlayMusic"]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from espalier_runtime.export import native
from espalier_runtime.export.head import read_head
from espalier_runtime.export.onnx import load_onnx
from espalier_runtime.export.plain import load_merged, load_peft
from espalier_runtime.export.texts import Texts


class Exported(Protocol):
    """One task's model, ready to predict."""

    def outputs(self, texts: Texts) -> Tensor:
        """What the task's head says of each text (export/texts.py)."""

    def predict(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[str] | list[float]:
        """Class names, values or scores of the pairs, or what is written after each text."""


def load(folder: Path | str, task: str | None = None, device: torch.device | None = None) -> Exported:
    """The export in `folder`; `task` chooses where it holds several: a native one (default: the first), or a merge.

    Raises InputError where the folder holds no export, or one of other weights than the backbone that is found.
    """
    root = Path(folder)
    if (root / "adapter.json").exists():
        adapter = native.load(root, device=device)
        return _OfTask(adapter, adapter.card.tasks[0].name if task is None else task)
    match read_head(root).to:
        case "peft":
            return load_peft(root, device, task)
        case "merged":
            return load_merged(root, device)
        case "onnx":
            return load_onnx(root)


class _OfTask:
    def __init__(self, adapter: native.LoadedAdapter, task: str) -> None:
        self._adapter, self._task = adapter, task
        adapter.index(task)

    def outputs(self, texts: Texts) -> Tensor:
        return self._adapter.outputs(self._task, texts)

    def predict(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[str] | list[float]:
        return self._adapter.predict(self._task, texts, pairs)
