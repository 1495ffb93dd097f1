"""(IA)^3 candidates as PEFT's IA3: one vector a linear, which multiplies its outputs or, in the MLP, its inputs.

PEFT's vector is 1 + share * l. Paths of a site add up under the one; where a projection is shared by several slots,
each slot's l is zero outside its own outputs.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from espalier_runtime.adapters.vectors import Vectors
from espalier_runtime.export.base_model import base_model
from espalier_runtime.export.native import LoadedAdapter
from espalier_runtime.export.peft_model import peft_model_of


def write_ia3(adapter: LoadedAdapter, task: str | None, folder: Path) -> None:
    """Writes PEFT's configuration and weights of the (IA)^3 that `task`, or any task, uses."""
    from peft import IA3Config
    from safetensors.torch import save_file

    model = peft_model_of(adapter, task)
    outputs, inputs = (
        {f"{model.prefix}{module}": scale for module, scale in scales.items()} for scales in task_scales(adapter, task)
    )
    config = IA3Config(
        task_type=model.task_type,
        base_model_name_or_path=base_model(adapter.card.backbone).name,
        inference_mode=True,
        target_modules=[*outputs, *inputs],
        feedforward_modules=list(inputs),
    )
    config.save_pretrained(str(folder))
    weights = {_key(module): (1 + scale).unsqueeze(1) for module, scale in outputs.items()}
    weights |= {_key(module): (1 + scale).unsqueeze(0) for module, scale in inputs.items()}
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def task_scales(adapter: LoadedAdapter, task: str | None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """l by module: of the linears whose outputs (outputs,), and of those whose inputs (inputs,) are multiplied."""
    outputs: dict[str, Tensor] = {}
    inputs: dict[str, Tensor] = {}
    for index, candidate, share in adapter.used(task):
        if candidate.kind != "ia3":
            continue
        vectors, units = adapter.model.pool.units(index)
        assert isinstance(vectors, Vectors)
        assert vectors.scale is not None
        scale = share * vectors.scale.detach()[units].sum(0).cpu()
        site = candidate.site
        if vectors.kind.side(site) == "input":
            inputs[site.module] = inputs.get(site.module, torch.zeros(())) + scale
        else:
            outputs[site.module] = outputs.get(site.module, torch.zeros(())) + site.spread(scale)
    return outputs, inputs


def _key(module: str) -> str:
    return f"base_model.model.{module}.ia3_l"
