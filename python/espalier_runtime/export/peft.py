"""One task's LoRA candidates as a plain PEFT adapter, verified against the model it came from.

At a linear, the chosen chunks of total rank r stack to one A (r, inputs) and one B (outputs, r); PEFT computes
h + (alpha / r) B A x, so alpha = s r. Where a projection is shared by several slots, such as GPT-2's query, key and
value, those of each slot stack too, and B is zero outside the slot's own outputs. Ranks differ from site to site:
`rank_pattern` and `alpha_pattern` carry them.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from espalier_runtime.errors import EspalierError, InputError
from espalier_runtime.export.native import LoadedAdapter
from espalier_runtime.records.files import write_json, write_text

#: Outputs after reloading must not differ by more.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class SiteLora:
    """The LoRA of one linear: A (r, inputs), B (outputs, r), and s."""

    module: str
    down: Tensor
    up: Tensor
    scale: float


def export_peft(adapter: LoadedAdapter, task: str, folder: Path, examples: list[tuple[str, str | None]]) -> float:
    """Writes the adapter of `task` to `folder`, reloads it with PEFT, and returns the largest difference of the states.

    The states compared are the last hidden states of `examples`, against the pool with every other kind left out.
    The task's head, which PEFT has no place for, is written beside it as head.safetensors.

    Raises InputError where the task uses no LoRA, EspalierError where the difference is above 1e-5.
    """
    sites = task_loras(adapter, task)
    if not sites:
        raise InputError(
            f'export: the structure of "{task}" holds no LoRA, and PEFT cannot hold the other kinds',
            mend="Export it with --to native.",
        )
    # Written beside the target and moved in place, so that no half adapter is ever found there.
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        _write(adapter, task, sites, temporary)
        difference = _difference(adapter, task, temporary, examples)
        if not difference < TOLERANCE:
            raise EspalierError(
                f"export: the reloaded PEFT adapter of {task} differs by {difference:.2g}, more than {TOLERANCE:g}"
            )
        shutil.rmtree(folder, ignore_errors=True)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return difference


def task_loras(adapter: LoadedAdapter, task: str) -> list[SiteLora]:
    """The LoRA of each linear that `task` adapts; a path's share in a mix goes into its B."""
    row = adapter.structure.rows[adapter.structure.tasks.index(task)]
    parts: dict[str, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    scales: dict[str, float] = {}
    for index, candidate in enumerate(adapter.structure.candidates):
        if row[index] > 0 and candidate.kind == "lora":
            group, units = adapter.model.pool.units(index)
            up = row[index] * candidate.site.spread(group.up.detach()[:, units].t()).t()
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


def _write(adapter: LoadedAdapter, task: str, sites: list[SiteLora], folder: Path) -> None:
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
    folder.mkdir(parents=True)
    config.save_pretrained(str(folder))
    weights = {}
    for site in sites:
        weights[f"base_model.model.{site.module}.lora_A.weight"] = site.down
        weights[f"base_model.model.{site.module}.lora_B.weight"] = site.up
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    card = next(entry for entry in adapter.card.tasks if entry.name == task)
    head = adapter.model.head([entry.name for entry in adapter.card.tasks].index(task))
    save_file(
        {name: value.cpu().contiguous() for name, value in head.state_dict().items()},
        folder / "head.safetensors",
    )
    write_json(
        folder / "head.json",
        {
            "task": task,
            "kind": card.kind,
            "labels": list(card.labels),
            "pooling": adapter.card.pooling,
            "maxLength": adapter.card.max_length,
        },
    )
    write_text(folder / "README.md", _readme(adapter, task))


def _exactly(module: str) -> str:
    """PEFT reads a pattern's key as a regular expression that the end of a module's name must match."""
    return f"^{re.escape(module)}"


def _difference(adapter: LoadedAdapter, task: str, folder: Path, examples: list[tuple[str, str | None]]) -> float:
    """max |states(PEFT) - states(pool)| over the examples' tokens."""
    from peft import PeftModel

    backbone, pool = adapter.backbone, adapter.model.pool
    texts = [text for text, _ in examples]
    pairs = [pair for _, pair in examples if pair is not None] or None
    encoded = backbone.tokenizer(
        texts, pairs, truncation=True, max_length=adapter.card.max_length, padding=True, return_tensors="pt"
    ).to(backbone.device)
    mask = encoded["attention_mask"].bool()
    row = adapter.card.structure.tasks.index(task)
    used = torch.tensor([float(c.kind == "lora") for c in adapter.structure.candidates])
    gates = (used * adapter.structure.gates()[row]).expand(len(texts), -1).to(backbone.device)
    with torch.no_grad():
        with pool.attached(backbone.model):
            pool.use(gates)
            ours = backbone.model(**encoded).last_hidden_state
        reloaded = PeftModel.from_pretrained(backbone.model, str(folder)).eval()
        try:
            theirs = reloaded(**encoded).last_hidden_state
        finally:
            reloaded.unload()
    return float((ours - theirs)[mask].abs().max())


def _readme(adapter: LoadedAdapter, task: str) -> str:
    config = json.dumps(adapter.backbone.reference)
    return f"""# LoRA adapter of the task {task}

A plain PEFT adapter whose places and ranks Espalier learned. The base model is {config}.

```python
from peft import PeftModel
from transformers import AutoModel

model = PeftModel.from_pretrained(AutoModel.from_pretrained({config}), ".")
```

`head.safetensors` holds the task's head: a linear layer on the {adapter.card.pooling} of the last hidden states
(`head.json` names its labels).
"""
