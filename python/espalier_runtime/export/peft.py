"""LoRA candidates as a plain PEFT adapter: of one task, or of all tasks together.

At a linear, the chosen chunks of total rank r stack to one A (r, inputs) and one B (outputs, r); PEFT computes
h + (alpha / r) B A x, so alpha = s r. Where a projection is shared by several slots, such as GPT-2's query, key and
value, those of each slot stack too, and B is zero outside the slot's own outputs. Ranks differ from site to site:
`rank_pattern` and `alpha_pattern` carry them.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from espalier_runtime.adapters.group import AdapterGroup
from espalier_runtime.errors import InputError
from espalier_runtime.export.head import write_head
from espalier_runtime.export.native import LoadedAdapter
from espalier_runtime.records.files import write_text
from espalier_runtime.structure.space import Candidate


@dataclass(frozen=True)
class SiteLora:
    """The LoRA of one linear: A (r, inputs), B (outputs, r), and s."""

    module: str
    down: Tensor
    up: Tensor
    scale: float


def write_peft(adapter: LoadedAdapter, task: str | None, folder: Path) -> list[str]:
    """Writes the adapter of `task`, or of all tasks, into `folder`; returns the kinds that PEFT cannot hold.

    The task's head, which PEFT has no place for, is written beside it.
    Raises InputError where there is no LoRA.
    """
    sites = task_loras(adapter, task)
    if not sites:
        whose = "these tasks" if task is None else f'"{task}"'
        raise InputError(
            f"export: the structure of {whose} holds no LoRA, and PEFT cannot hold the other kinds",
            mend="Export it with --to native.",
        )
    _write(adapter, sites, folder)
    write_head(folder, adapter, task, "peft")
    write_text(folder / "README.md", _readme(adapter, task))
    return sorted(
        {candidate.kind for candidate, share in _shares(adapter, task) if share > 0 and candidate.kind != "lora"}
    )


def peft_gates(adapter: LoadedAdapter, task: str | None) -> Tensor:
    """The gates (1, candidates) of what the PEFT adapter holds: those of `task` with the other kinds shut."""
    held = torch.tensor([candidate.kind == "lora" for candidate in adapter.structure.candidates])
    return adapter.gates(task) * held.to(adapter.backbone.device)


def task_loras(adapter: LoadedAdapter, task: str | None) -> list[SiteLora]:
    """The LoRA of each linear that `task`, or any task, adapts; a path's share in a mix goes into its B."""
    parts: dict[str, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    scales: dict[str, float] = {}
    for index, (candidate, share) in enumerate(_shares(adapter, task)):
        if share > 0 and candidate.kind == "lora":
            group, units = adapter.model.pool.units(index)
            assert isinstance(group, AdapterGroup)
            up = share * candidate.site.spread(group.up.detach()[:, units].t()).t()
            parts[candidate.site.module].append((group.down.detach()[units], up))
            scales[candidate.site.module] = group.kind.scale
    return [
        SiteLora(
            module,
            torch.cat([down for down, _ in chunks]).cpu().contiguous(),
            torch.cat([up for _, up in chunks], dim=1).cpu().contiguous(),
            scales[module],
        )
        for module, chunks in parts.items()
    ]


def _shares(adapter: LoadedAdapter, task: str | None) -> list[tuple[Candidate, float]]:
    return list(zip(adapter.structure.candidates, adapter.gates(task).squeeze(0).tolist(), strict=True))


def _write(adapter: LoadedAdapter, sites: list[SiteLora], folder: Path) -> None:
    from peft import LoraConfig
    from safetensors.torch import save_file

    ranks = [len(site.down) for site in sites]
    usual = max(set(ranks), key=ranks.count)
    scale = sites[0].scale
    config = LoraConfig(
        task_type="FEATURE_EXTRACTION",
        base_model_name_or_path=adapter.backbone.reference,
        inference_mode=True,
        r=usual,
        lora_alpha=scale * usual,
        lora_dropout=0.0,
        bias="none",
        target_modules=[site.module for site in sites],
        rank_pattern={_exactly(s.module): len(s.down) for s in sites if len(s.down) != usual},
        alpha_pattern={_exactly(s.module): s.scale * len(s.down) for s in sites if len(s.down) != usual},
    )
    config.save_pretrained(str(folder))
    weights = {}
    for site in sites:
        weights[f"base_model.model.{site.module}.lora_A.weight"] = site.down
        weights[f"base_model.model.{site.module}.lora_B.weight"] = site.up
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def _exactly(module: str) -> str:
    """PEFT reads a pattern's key as a regular expression that the end of a module's name must match."""
    return f"^{re.escape(module)}"


def _readme(adapter: LoadedAdapter, task: str | None) -> str:
    config = json.dumps(adapter.backbone.reference)
    whose = "all tasks together" if task is None else f"the task {task}"
    head = (
        "It holds every candidate that any task uses, and no head: each task's own adapter has its head."
        if task is None
        else f"""`head.safetensors` holds the task's head: a linear layer on the {adapter.card.pooling} of the
last hidden states (`head.json` names its labels). Adapter and head together:

```python
from espalier_runtime.export.load import load

load(".").predict(["a text"])
```"""
    )
    return f"""# LoRA adapter of {whose}

A plain PEFT adapter whose places and ranks Espalier learned. The base model is {config}.

```python
from peft import PeftModel
from transformers import AutoModel

model = PeftModel.from_pretrained(AutoModel.from_pretrained({config}), ".")
```

{head}
"""
