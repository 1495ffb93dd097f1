"""What a fit adapts the backbone with: a pool of adapters, a PEFT method, or the backbone's own weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from torch import Tensor, nn

from espalier_runtime.backbone.layout import Layout


class Adaptation(Protocol):
    """A module whose parameters are trained, and that works on the backbone while it is attached to it.

    `lowest_layer`: the lowest layer whose computation it changes, None where it changes none. `packs`: it works where
    the rows of a batch lie one after the other; else it must be given padded batches.
    """

    @property
    def lowest_layer(self) -> int | None: ...

    @property
    def packs(self) -> bool: ...

    def use(self, gates: Tensor | None, tasks: Tensor | None = None, layout: Layout | None = None) -> None:
        """Sets the gates of the next forward, its rows' tasks (batch,), and how its rows lie.

        Gates are (batch, columns), (1, columns) for all rows alike, or None for all open.
        """

    def attached(self, model: nn.Module) -> AbstractContextManager[None]:
        """Within the context `model` is adapted; after it the model is itself bit for bit."""

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any: ...
