"""Low-rank updates of a linear, several paths a unit, of which a row of the batch takes what its task says.

    h' = h + s sum_u z_u sum_p c_p B_u,p A_u,p x        c: the row's share of each path, by its task

u counts units, p paths. Affine in x, so that the update of one task folds into the linear.
"""

from __future__ import annotations

from torch import Tensor


def shared_out(down: Tensor, shares: Tensor, z: Tensor | None) -> Tensor:
    """z_u c_p A_u,p x of A_u,p x, both (..., units * paths).

    `shares` c (..., paths) and `z` (..., units) broadcast with `down` but for its last dimension.
    """
    paths = shares.shape[-1]
    inner = down.view(*down.shape[:-1], -1, paths) * shares.unsqueeze(-2)
    return (inner if z is None else inner * z.unsqueeze(-1)).flatten(-2)
