"""What the backbone reads of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from espalier_runtime.backbone.attention import STACKS, no_mask
from espalier_runtime.backbone.families import Family
from espalier_runtime.backbone.layout import Layout, Padded


@dataclass(frozen=True)
class Inputs:
    """`input_ids` and `token_type_ids` as `layout` lays them, (batch, seq) or (1, T).

    Where `entering` is given, the states that go into layer `start`, the layers below are not run.
    """

    layout: Layout
    input_ids: Tensor
    token_type_ids: Tensor | None = None
    entering: Tensor | None = None
    start: int = 0

    def arguments(self, form: Family, model: nn.Module) -> dict[str, Any]:
        """The keyword arguments of the model's forward."""
        given: dict[str, Any] = {"input_ids": self.input_ids}
        if self.token_type_ids is not None:
            given["token_type_ids"] = self.token_type_ids
        if isinstance(self.layout, Padded):
            return {**given, "attention_mask": self.layout.mask}
        positions = self.layout.positions
        if form.counts_from_padding:
            config: Any = model.config
            positions = positions + config.pad_token_id + 1
        mask = no_mask(positions.device)
        return {**given, "attention_mask": mask, "position_ids": positions, STACKS: self.layout.stacks}
