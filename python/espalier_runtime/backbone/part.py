"""The part of a fused projection's outputs that belongs to one slot."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Part:
    """Outputs `start` to `stop` - 1 of each of the `groups` equal groups that a module's outputs fall into.

    Query, key and value one after the other are parts of a single group; where a projection holds the three of each
    head side by side, every head is a group.
    """

    start: int
    stop: int
    groups: int = 1

    @property
    def width(self) -> int:
        """How many outputs the part has."""
        return self.groups * (self.stop - self.start)

    def take(self, outputs: Tensor) -> Tensor:
        """The part (..., width) of a module's outputs (..., all)."""
        return self._grouped(outputs)[..., self.start : self.stop].flatten(-2)

    def put(self, outputs: Tensor, part: Tensor) -> Tensor:
        """The module's outputs (..., all) with `part` (..., width) in its place."""
        grouped = self._grouped(outputs)
        own = self._grouped(part)
        return torch.cat([grouped[..., : self.start], own, grouped[..., self.stop :]], -1).flatten(-2)

    def _grouped(self, outputs: Tensor) -> Tensor:
        return outputs.reshape(*outputs.shape[:-1], self.groups, -1)

    def __str__(self) -> str:
        return f"[{self.start}:{self.stop}]" if self.groups == 1 else f"[{self.start}:{self.stop} of {self.groups}]"
