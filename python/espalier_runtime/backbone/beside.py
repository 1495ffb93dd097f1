"""Attention to keys and values beside those of the tokens, each with a mass of its own.

    o' = (D o + sum_p |m_p| e_p sign(m_p) v_p) / (D + sum_p |m_p| e_p)
    e_p = exp(s q . k_p),   D = sum_j exp(s q . k_j)

with o = softmax(s q K^T) V over the tokens j that q may see, and m_p a mass. Mass 1 is attention with k_p and v_p
among the keys and values, mass 0 leaves o as it is, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

#: The attribute by which an attention module carries those who give it more to attend to.
BESIDE = "_espalier_beside"
#: The attribute by which it carries the noise, of a tensor's shape, that stands for what these make of its output.
NOISE = "_espalier_beside_noise"


class Rows(NamedTuple):
    """Rows of a batch that are attended together: `batch` of equal length; where packed, from token `start` on."""

    start: int
    batch: int
    length: int

    def of(self, laid: Tensor) -> Tensor:
        """(batch or 1, columns) of what rows have, laid as (batch or 1, 1, columns) or, packed, (1, T, columns)."""
        if laid.shape[1] == 1:
            return laid[:, 0]
        return laid[0, self.start : self.start + self.batch * self.length : self.length]


class Extra(NamedTuple):
    """Keys and values (batch or 1, key heads, P, width), masses m and their sizes |m| (batch or 1, P)."""

    keys: Tensor
    values: Tensor
    masses: Tensor
    sizes: Tensor

    @classmethod
    def of(cls, keys: Tensor, values: Tensor, masses: Tensor, gates: Tensor | None = None) -> Extra:
        """With the masses of open gates, t, and gates z >= 0: m = z t.

        |m| as z |t| has its slope in z where a gate is shut, too.
        """
        z = masses.new_ones(()) if gates is None else gates
        return cls(keys, values, z * masses, z * masses.abs())


#: Gives the extra keys and values of some rows at an attention module.
Giver = Callable[[nn.Module, Rows], Extra]


def givers_of(module: nn.Module) -> Sequence[Giver]:
    """Those who give `module` more to attend to."""
    givers: Sequence[Giver] = getattr(module, BESIDE, ())
    return givers


def attend_beside(
    output: Tensor, query: Tensor, key: Tensor, mask: Tensor | None, causal: bool, scaling: float | None, extra: Extra
) -> Tensor:
    """o' of o and `query` (rows, heads, seq, width) and `key` (rows, key heads, seen, width).

    `mask` as PyTorch's attention takes it, true or 0 where a token sees another; `causal` where there is none.
    """
    with torch.autocast(query.device.type, enabled=False):  # exponentials of rounded scores are no weights
        return _attend_beside(output, query, key, mask, causal, scaling, extra)


def _attend_beside(
    output: Tensor, query: Tensor, key: Tensor, mask: Tensor | None, causal: bool, scaling: float | None, extra: Extra
) -> Tensor:
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    groups = query.shape[1] // key.shape[1]
    q = query.float() * scale
    own = _log_sum(q @ _for_heads(key, groups).transpose(-1, -2), mask, causal)
    scores = q @ _for_heads(extra.keys, groups).transpose(-1, -2)
    masses, sizes = (part.float()[:, None, None, :] for part in (extra.masses, extra.sizes))
    # The largest exponent comes off all of them. Where all masses are 0 it is D's own, and o' is o exactly.
    largest = torch.maximum(own, (scores + sizes.log()).amax(-1, keepdim=True)).detach()
    # A mass of 0 times an exponential beyond all bounds would be no number.
    e = torch.exp((scores - largest).clamp_max(80))
    before = torch.exp(own - largest)
    added = (masses * e) @ _for_heads(extra.values, groups)
    return ((before * output + added) / (before + (sizes * e).sum(-1, keepdim=True))).to(output.dtype)


def _log_sum(scores: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """log D (rows, heads, seq, 1); 0 for what sees nothing, such as padding."""
    if causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    own = scores.logsumexp(-1, keepdim=True)
    return own.masked_fill(own == -torch.inf, 0.0)


def _for_heads(values: Tensor, groups: int) -> Tensor:
    """(rows, heads, P, width) of (rows, key heads, P, width), in float32."""
    return values.float().repeat_interleave(groups, dim=1)
