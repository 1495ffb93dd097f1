"""The fused group: all residuals at a site that read the same run as one down product and one up product.

    h' = h + sum_k s_k W_up,k g_k(W_down,k v)

v is what the kinds k read there: the module's input, or the sub-block's. What sets the kinds apart is g_k alone, on the
few columns of their own, so that the rows of all W_down are one matrix and the columns of all W_up another: several
kinds at a site take two products forward, as one kind does. Each keeps its weights in its own module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from espalier_runtime.adapters.base import Adapter, AdapterKind, Hook


@dataclass(frozen=True, kw_only=True)
class ResidualKind(AdapterKind):
    """A kind of this form; s = `scale`."""

    scale: float


class Residual(Adapter):
    """h' = h + s W_up g(W_down v), with v what the kind reads; a subclass gives W_down, g and W_up."""

    kind: ResidualKind

    def down_rows(self) -> Tensor:
        """W_down (columns, width of v)."""
        raise NotImplementedError

    def inner(self, down: Tensor) -> Tensor:
        """g(W_down v), gated, (..., inner columns) of W_down v (..., columns)."""
        raise NotImplementedError

    def up_rows(self) -> Tensor:
        """W_up transposed, (inner columns, width of h)."""
        raise NotImplementedError

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """h' of h (batch, seq, outputs) and x (batch, seq, inputs), or of both without the first dimension."""
        inner = self.inner(_down(self.read(x, h), self.down_rows()))
        return _up(h, _columns(inner), self.up_rows(), self.kind.scale)


class FusedGroup:
    """Several residuals that read the same v and change the same h, as one."""

    def __init__(self, members: Sequence[Residual]) -> None:
        self.members = members
        self.reads = members[0].reads

    def hooks(self) -> list[Hook]:
        """Those of the first member, which reads v for all."""
        return [hook if hook.after is None else hook._replace(after=self) for hook in self.members[0].hooks()]

    def __call__(self, x: Tensor, h: Tensor) -> Tensor:
        """h' of h (batch, seq, outputs) and x (batch, seq, inputs), or of both without the first dimension."""
        rows = [member.down_rows() for member in self.members]
        down = _down(self.members[0].read(x, h), torch.cat(rows))
        shares = torch.split(down, [len(own) for own in rows], dim=-1)
        inner = [_columns(member.inner(share)) for member, share in zip(self.members, shares, strict=True)]
        up = [member.kind.scale * member.up_rows() for member in self.members]
        return _up(h, torch.cat(inner), torch.cat(up), 1.0)


def _down(v: Tensor, rows: Tensor) -> Tensor:
    """v W_down^T, (..., columns), laid out column after column.

    Libraries multiply a wide matrix by a narrow one up to five times faster when the narrow one stands on the left and
    its rows lie in one piece. So laid out, the product and all of its gradients, and with a W_up^T whose rows lie in
    one piece those of the product up, are of that form: autograd keeps to the layouts that it meets.
    """
    return (rows @ _columns(v)).t().view(*v.shape[:-1], len(rows))


def _columns(values: Tensor) -> Tensor:
    """(columns, tokens) of `values` (..., columns)."""
    return values.reshape(-1, values.shape[-1]).t()


def _up(h: Tensor, inner: Tensor, rows: Tensor, scale: float) -> Tensor:
    """h + s W_up inner, of the inner columns (columns, tokens)."""
    device = h.device.type
    if torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) != h.dtype:
        # addmm would be given h rounded, which may be the states that a backbone keeps in its own precision.
        return h + (scale * (inner.t() @ rows)).view(h.shape)
    # addmm adds the low-rank product to h in one pass, without a tensor of h's size in between.
    flat = torch.addmm(h.reshape(-1, h.shape[-1]), inner.t(), rows.contiguous(), alpha=scale)
    return flat.view(h.shape)
