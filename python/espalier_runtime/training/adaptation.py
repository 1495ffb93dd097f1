"""What a fit adapts the backbone with: a pool of adapters, a PEFT method, or the backbone's own weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from torch import Tensor, nn


class Adaptation(Protocol):
    """A module whose parameters are trained, and that works on the backbone while it is attached to it.

    `lowest_layer`: the lowest layer whose computation it changes, None where it changes none.
    """

    @property
    def lowest_layer(self) -> int | None: ...

    def use(self, gates: Tensor | None, tasks: Tensor | None = None) -> None:
        """Sets the gates of the next forward, (batch, columns), None for all open, and its rows' tasks, (batch,)."""

    def attached(self, model: nn.Module) -> AbstractContextManager[None]:
        """Within the context `model` is adapted; after it the model is itself bit for bit."""

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any: ...
