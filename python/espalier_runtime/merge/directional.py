"""Merging with directional alignment, its half that needs no data (arXiv 2512.00391), at one linear.

    tau_t = U_t S_t V_t'          U = [U_1 .. U_T], n directions         P = the orthonormal frame nearest to U
    E = sqrt(n / (n - 1)) P (I - 11'/n)                                  tau = lambda E E+ sum_t tau_t

The columns of E are a simplex equiangular tight frame: unit vectors, each pair at the cosine -1 / (n - 1), which sum to
zero. E E+ keeps of the summed update what lies in their span, and so drops what all directions have in common.

Our reading, where the public text leaves it open: a direction is a left singular vector, and a task brings all of its
adapter's, since an adapter's rank is low already; a singular vector's sign is the one that makes its largest entry
positive; directions that depend on others are left out of the frame; P is the polar factor of the rest. Where a linear
has a single direction, or one task's update alone, nothing is there to be set apart, and tau = lambda sum_t tau_t.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from espalier_runtime.merge.update import ROUNDING, Update, times, total


def directional(updates: Sequence[Update], weight: float) -> Update:
    """lambda E E+ sum_t tau_t."""
    summed = times(total(updates), weight)
    frame = nearest_frame(torch.cat([_signed(update.svd()[0]) for update in updates], 1))
    if len(updates) == 1 or frame.shape[1] < 2:
        return summed
    return Update(onto_simplex(frame, summed.up), summed.down)


def simplex(frame: Tensor) -> Tensor:
    """E (d, n): the simplex equiangular tight frame in the span of an orthonormal P (d, n), n >= 2."""
    n = frame.shape[1]
    return math.sqrt(n / (n - 1)) * (frame - frame.mean(1, keepdim=True))


def onto_simplex(frame: Tensor, x: Tensor) -> Tensor:
    """E E+ x of columns x (d, m):  P P' x - c c' x,  c = P 1 / sqrt(n),  without forming E E+."""
    centre = frame.sum(1, keepdim=True) / math.sqrt(frame.shape[1])
    return frame @ (frame.t() @ x) - centre @ (centre.t() @ x)


def nearest_frame(directions: Tensor) -> Tensor:
    """P (d, m): the orthonormal matrix nearest to those columns of U (d, n) that depend on no others.

    Which columns are kept, and that there are at most d of them, a QR decomposition with pivoting decides.
    """
    from scipy.linalg import qr

    _, r, pivots = qr(directions.cpu().numpy(), mode="economic", pivoting=True)
    sizes = torch.from_numpy(r).diagonal().abs()
    count = int((sizes > math.sqrt(ROUNDING) * sizes.max()).sum()) if len(sizes) > 0 else 0
    chosen = torch.from_numpy(pivots[:count].copy()).long().sort().values.to(directions.device)
    u, _, v = torch.linalg.svd(directions[:, chosen], full_matrices=False)
    polar: Tensor = u @ v
    return polar


def _signed(vectors: Tensor) -> Tensor:
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    return vectors * torch.where(largest < 0, -1.0, 1.0).to(vectors.dtype)
