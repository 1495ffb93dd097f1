"""A plain PEFT adapter of one task, or of all tasks together: a LoRA or an (IA)^3, which PEFT keeps apart.

What a task uses beside them is left out, and told.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from espalier_runtime.errors import InputError
from espalier_runtime.export.base_model import base_model
from espalier_runtime.export.head import what_it_reads, write_head
from espalier_runtime.export.kinds import held_by_peft, kinds_of_task
from espalier_runtime.export.native import LoadedAdapter
from espalier_runtime.export.peft_ia3 import write_ia3
from espalier_runtime.export.peft_lora import write_lora
from espalier_runtime.records.files import write_text

#: What writes each type of PEFT's.
WRITERS: dict[str, Callable[[LoadedAdapter, str | None, Path], None]] = {"lora": write_lora, "ia3": write_ia3}


def write_peft(adapter: LoadedAdapter, task: str | None, folder: Path) -> list[str]:
    """Writes the adapter of `task`, or of all tasks, into `folder`; returns the kinds that are left out.

    The task's head, which PEFT has no place for, is written beside it. Raises InputError as `peft_type`.
    """
    name = peft_type(adapter, task)
    WRITERS[name](adapter, task, folder)
    write_head(folder, adapter, task, "peft")
    write_text(folder / "README.md", _readme(adapter, task, name))
    return sorted(kinds_of_task(adapter, task) - held_by_peft(adapter, task).keys())


def peft_type(adapter: LoadedAdapter, task: str | None) -> str:
    """PEFT's name for an adapter of `task`. Raises InputError where it uses nothing that PEFT has, or two types."""
    kinds = held_by_peft(adapter, task)
    whose = "these tasks" if task is None else f'"{task}"'
    if not kinds:
        raise InputError(
            f"export: the structure of {whose} holds nothing that PEFT has as {' or '.join(WRITERS)}",
            mend="Export it with --to native; espalier kinds says what PEFT holds.",
        )
    if len(set(kinds.values())) > 1:
        raise InputError(
            f"export: the structure of {whose} holds {', '.join(kinds)}, and a PEFT adapter is of one type",
            mend="Export it with --to native or --to onnx, or where all of it merges, as espalier kinds says,"
            " with --to merged.",
        )
    return next(iter(kinds.values()))


def peft_gates(adapter: LoadedAdapter, task: str | None) -> Tensor:
    """The gates (1, candidates) of what the PEFT adapter holds: those of `task` with the other kinds shut."""
    kinds = held_by_peft(adapter, task)
    held = torch.tensor([candidate.kind in kinds for candidate in adapter.structure.candidates])
    return adapter.gates(task) * held.to(adapter.backbone.device)


def _readme(adapter: LoadedAdapter, task: str | None, name: str) -> str:
    base = base_model(adapter.card.backbone)
    writes = task is not None and adapter.task(task).kind == "generation"
    whose = "all tasks together" if task is None else f"the task {task}"
    head = (
        "It holds every candidate that any task uses, and no head: each task's own adapter has its head."
        if task is None
        else """The model's own language head stays as it is. With the prompts laid as in training:

```python
from espalier_runtime.export.load import load

load(".").predict(["a prompt"])
```"""
        if writes
        else f"""`head.safetensors` holds the task's head: a linear layer on
{what_it_reads(adapter)} (`head.json` names its labels). Adapter and head together:

```python
from espalier_runtime.export.load import load

load(".").predict(["a text"])
```"""
    )
    auto = "AutoModelForCausalLM" if writes else "AutoModel"
    title, learned = {"lora": ("LoRA", "places and ranks"), "ia3": ("(IA)^3", "places")}[name]
    return f"""# {title} adapter of {whose}

A plain PEFT adapter whose {learned} Espalier learned. The base model is "{base.name}".

```python
from peft import PeftModel
from transformers import {auto}
{base.before}
model = PeftModel.from_pretrained({auto}.from_pretrained({base.argument}), ".")
```
{base.note}
{head}
"""
