"""Early stopping: ends a fit when the held-out loss stops falling."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

from torch import nn

from espalier_runtime import contract


class EarlyStopping:
    """Asks for the held-out loss after each epoch, and keeps the weights of its lowest point."""

    def __init__(
        self, model: nn.Module, config: contract.EarlyStopping | None, held_out_loss: Callable[[], float] | None
    ) -> None:
        """Without a configuration or held-out rows it never stops anything."""
        self.stopped = False
        self._model, self._config, self._loss = model, config, held_out_loss
        self._lowest = math.inf
        self._kept: dict[str, Any] | None = None
        self._waited = 0

    def after_epoch(self) -> None:
        """Looks at the held-out loss; `stopped` says whether that was the last time."""
        if self._config is None or self._loss is None:
            return
        loss = self._loss()
        if loss < self._lowest:
            self._lowest, self._waited = loss, 0
            self._kept = copy.deepcopy(self._model.state_dict())
        else:
            self._waited += 1
            self.stopped = self._waited >= self._config.patience

    def restore_best(self) -> None:
        """Gives the model the weights of the lowest held-out loss."""
        if self._kept is not None:
            self._model.load_state_dict(self._kept)

    def state_dict(self) -> dict[str, Any]:
        return {"stopped": self.stopped, "lowest": self._lowest, "waited": self._waited, "kept": self._kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.stopped, self._lowest, self._waited = state["stopped"], float(state["lowest"]), state["waited"]
        self._kept = state["kept"]
