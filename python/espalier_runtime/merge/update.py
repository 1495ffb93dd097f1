"""What an adapter does to one linear, as a product of two thin matrices:  tau = W' - W = up down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: Singular values below this share of the largest are rounding.
ROUNDING = 1e-10


@dataclass(frozen=True)
class Update:
    """tau = `up` `down`; up (outputs, rank), down (rank, inputs), both in float64."""

    up: Tensor
    down: Tensor

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    def dense(self) -> Tensor:
        """tau (outputs, inputs)."""
        return self.up @ self.down

    def svd(self) -> tuple[Tensor, Tensor, Tensor]:
        """U (outputs, k), S (k,), V' (k, inputs) of tau, largest first; k is the rank that rounding leaves.

        Two QR decompositions and one SVD of rank x rank, so that tau itself is never formed.
        """
        left, r_left = torch.linalg.qr(self.up)
        right, r_right = torch.linalg.qr(self.down.t())
        u, s, v = torch.linalg.svd(r_left @ r_right.t())
        kept = s > ROUNDING * s.max() if len(s) > 0 else s > 0
        return left @ u[:, kept], s[kept], v[kept] @ right.t()


def times(update: Update, weight: float) -> Update:
    """weight * tau."""
    return Update(weight * update.up, update.down)


def total(updates: Sequence[Update]) -> Update:
    """The sum of the updates, of the sum of their ranks."""
    return Update(torch.cat([update.up for update in updates], 1), torch.cat([update.down for update in updates]))


def compressed(update: Update, rank: int | None) -> tuple[Update, float]:
    """The nearest update of at most `rank`, None for any, and its share of |tau|^2; a root of S goes to either side."""
    u, s, v = update.svd()
    kept = len(s) if rank is None else min(rank, len(s))
    root = s[:kept].sqrt()
    share = float(s[:kept].square().sum() / s.square().sum()) if len(s) > 0 else 1.0
    return Update(u[:, :kept] * root, root.unsqueeze(1) * v[:kept]), share
