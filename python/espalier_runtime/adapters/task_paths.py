"""Low-rank updates of a linear, several paths a unit, of which a row of the batch takes what its task says.

    h' = h + s sum_u z_u sum_p c_p B_u,p A_u,p x        c: the row's share of each path, by its task

u counts units, p paths. Affine in x, so that the update of one task folds into the linear.
"""

from __future__ import annotations

from torch import Tensor


def add_paths(x: Tensor, h: Tensor, down: Tensor, up: Tensor, shares: Tensor, z: Tensor | None, scale: float) -> Tensor:
    """h' of x (..., inputs) and h (..., outputs), with A (units, paths, inputs) and B (units, paths, outputs).

    `shares` c (..., paths) and `z` (..., units) broadcast with x and h but for their last dimension.
    """
    inner = (x @ down.flatten(0, 1).t()).view(*x.shape[:-1], *down.shape[:2]) * shares.unsqueeze(-2)
    if z is not None:
        inner = inner * z.unsqueeze(-1)
    return h + scale * (inner.flatten(-2) @ up.flatten(0, 1))
