"""Low-rank updates of one linear, and how PEFT merges the same."""

from __future__ import annotations

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn

from espalier_runtime.merge.update import Update


def updates(count: int, rank: int = 2, outputs: int = 6, inputs: int = 5) -> list[Update]:
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    return [Update(draw(outputs, rank), draw(rank, inputs)) for _ in range(count)]


def in_peft(given: list[Update], combination: str, **options: object) -> Tensor:
    """Delta W of PEFT's `add_weighted_adapter` over adapters that hold the given updates."""
    model = nn.Sequential(nn.Linear(given[0].down.shape[1], given[0].up.shape[0])).double()
    config = LoraConfig(r=given[0].rank, lora_alpha=given[0].rank, target_modules=["0"])
    peft: PeftModel = get_peft_model(model, config, adapter_name="0")  # type: ignore[assignment]
    for index in range(1, len(given)):
        peft.add_adapter(str(index), config)
    layer = peft.base_model.model[0]
    for index, update in enumerate(given):
        layer.lora_A[str(index)].weight.data = update.down.clone()
        layer.lora_B[str(index)].weight.data = update.up.clone()
    names = [str(index) for index in range(len(given))]
    peft.base_model.add_weighted_adapter(names, adapter_name="all", combination_type=combination, **options)
    delta: Tensor = layer.get_delta_weight("all")
    return delta
