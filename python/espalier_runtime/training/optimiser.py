"""AdamW over all trained weights as one vector: one kernel moves them, one norm clips them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

#: Each weight begins at a multiple of so many elements of the vector, where matrix kernels read fastest.
ALIGNMENT = 16


class FlatAdamW:
    """While it lives, the weights and their gradients are views of two float32 vectors.

    A weight that a step does not use has the gradient zero there, not none: its momentum decays like any other's.
    """

    def __init__(self, weights: Sequence[nn.Parameter], *, weight_decay: float, clip: float) -> None:
        """`clip` is the largest norm of the whole gradient."""
        self._weights = [weight for weight in weights if weight.requires_grad]
        self._clip = clip
        starts, end = [], 0
        for weight in self._weights:
            starts.append(end)
            end += -(-weight.numel() // ALIGNMENT) * ALIGNMENT
        device = self._weights[0].device
        self._vector = nn.Parameter(torch.zeros(end, device=device))
        self._gradient = self._vector.grad = torch.zeros(end, device=device)
        for weight, start in zip(self._weights, starts, strict=True):
            place = slice(start, start + weight.numel())
            self._vector.data[place] = weight.detach().reshape(-1)
            weight.data = self._vector.data[place].view(weight.shape)
            weight.grad = self._gradient[place].view(weight.shape)
        self._adamw = torch.optim.AdamW([self._vector], weight_decay=weight_decay, fused=True)

    def step(self, learning_rate: float) -> None:
        """Clips the gradient and moves the weights; the gradients stand until `clear`."""
        torch.nn.utils.clip_grad_norm_([self._vector], self._clip)
        self._adamw.param_groups[0]["lr"] = learning_rate
        self._adamw.step()

    def clear(self) -> None:
        """Sets every gradient to zero."""
        self._gradient.zero_()

    @property
    def gradient(self) -> Tensor:
        """All gradients, (weights and the gaps between them,)."""
        return self._gradient

    def close(self) -> None:
        """Gives every weight memory of its own again."""
        for weight in self._weights:
            weight.data = weight.data.clone()
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        return self._adamw.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._adamw.load_state_dict(state)
