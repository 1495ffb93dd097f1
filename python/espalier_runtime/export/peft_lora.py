"""LoRA candidates, and those that are a LoRA to one task, as PEFT's LoRA.

At a linear, the chosen chunks of total rank r stack to one A (r, inputs) and one B (outputs, r); PEFT computes h +
(alpha / r) B A x, so alpha = s r. Where kinds of unlike s meet, what s lacks goes into B. Where a projection is shared
by several slots, such as GPT-2's query, key and value, those of each slot stack too, and B is zero outside the slot's
own outputs. Ranks differ from site to site: `rank_pattern` and `alpha_pattern` carry them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from espalier_runtime.export.base_model import base_model
from espalier_runtime.export.kinds import peft_name
from espalier_runtime.export.native import LoadedAdapter
from espalier_runtime.export.peft_model import BODY, PeftModelKind, peft_model_of


@dataclass(frozen=True)
class SiteLora:
    """The LoRA of one linear: A (r, inputs), B (outputs, r), and s."""

    module: str
    down: Tensor
    up: Tensor
    scale: float


def write_lora(adapter: LoadedAdapter, task: str | None, folder: Path) -> None:
    """Writes PEFT's configuration and weights of the LoRA that `task`, or any task, uses."""
    base = base_model(adapter.card.backbone)
    write_loras(base.name, task_loras(adapter, task), folder, peft_model_of(adapter, task))


def write_loras(reference: str, sites: Sequence[SiteLora], folder: Path, model: PeftModelKind = BODY) -> None:
    """Writes PEFT's configuration and weights of a LoRA on the model that `reference` names."""
    from peft import LoraConfig
    from safetensors.torch import save_file

    ranks = [len(site.down) for site in sites]
    usual = max(set(ranks), key=ranks.count)
    scale = sites[0].scale
    config = LoraConfig(
        task_type=model.task_type,
        base_model_name_or_path=reference,
        inference_mode=True,
        r=usual,
        lora_alpha=scale * usual,
        lora_dropout=0.0,
        bias="none",
        target_modules=[model.prefix + site.module for site in sites],
        rank_pattern={_exactly(model.prefix + s.module): len(s.down) for s in sites if len(s.down) != usual},
        alpha_pattern={_exactly(model.prefix + s.module): s.scale * len(s.down) for s in sites if len(s.down) != usual},
    )
    config.save_pretrained(str(folder))
    weights = {}
    for site in sites:
        weights[f"base_model.model.{model.prefix}{site.module}.lora_A.weight"] = site.down
        weights[f"base_model.model.{model.prefix}{site.module}.lora_B.weight"] = site.up
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def task_loras(adapter: LoadedAdapter, task: str | None) -> list[SiteLora]:
    """The LoRA of each linear that `task`, or any task, adapts; a path's share in a mix goes into its B."""
    parts: dict[str, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    first: float | None = None
    for index, candidate, share in adapter.used(task):
        if peft_name(adapter, index, task) == "lora":
            module, units = adapter.model.pool.units(index)
            with torch.no_grad():
                down, up, scale = module.low_rank(units, 0 if task is None else adapter.index(task))
            first = scale if first is None else first
            spread = candidate.site.spread(up.t()).t()
            parts[candidate.site.module].append((down, share * (scale / first) * spread))
    return [
        SiteLora(
            module,
            torch.cat([down for down, _ in chunks]).cpu().contiguous(),
            torch.cat([up for _, up in chunks], dim=1).cpu().contiguous(),
            first or 1.0,
        )
        for module, chunks in parts.items()
    ]


def _exactly(module: str) -> str:
    """PEFT reads a pattern's key as a regular expression that the end of a module's name must match."""
    return f"^{re.escape(module)}"
