"""Attention over rows that lie one after the other, as one of transformers' attention functions.

    o_i = softmax(s q_i K_r^T) V_r        for the tokens i of row r, and over that row's keys and values alone

Rows of equal length are a stack without padding, so that a batch takes one call of PyTorch's attention a distinct
length, with no mask. It is registered as an attention implementation, and so works for every family that lets
transformers choose its attention; for padded batches it is transformers' own "sdpa".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from espalier_runtime.backbone.beside import NOISE, Extra, Rows, attend_beside, givers_of
from espalier_runtime.backbone.stacks import attend_stacks

#: The name under which transformers knows it.
PACKED = "espalier_packed"

#: The keyword argument by which the (rows, length) stacks of a packed batch reach it through the model.
STACKS = "espalier_stacks"

#: The attribute of an attention module that says which query of each row alone is wanted: "first" or "last".
READS = "espalier_reads"


def use_packed_attention(model: nn.Module) -> None:
    """Lets `model` attend over padded and over packed batches from now on."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(PACKED, attend)
    AttentionMaskInterface.register(PACKED, sdpa_mask)
    switchable: Any = model
    switchable.set_attn_implementation(PACKED)


def no_mask(device: torch.device) -> Tensor:
    """What a packed batch gives as its mask: transformers takes four dimensions as made already, and makes none."""
    return torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device)


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    is_causal: bool | None = None,
    **options: Any,
) -> tuple[Tensor, Tensor | None]:
    """(batch, seq, heads, width) of query (batch, heads, seq, width), key and value, which may have fewer heads.

    `options` carry the stacks of a packed batch, and what a family tells its attention.
    """
    stacks: Sequence[tuple[int, int]] | None = options.pop(STACKS, None)
    if stacks is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        output: Tensor = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, is_causal, **options
        )[0]
        onwards = query.shape[2] > 1 and attention_mask is None and _is_causal(module, is_causal)
        rows = Rows(0, len(query), query.shape[2])
        beside = _beside(module, rows, output.transpose(1, 2), query, key, attention_mask, onwards, scaling)
        return beside.transpose(1, 2), None
    causal = _is_causal(module, is_causal)
    window: int | None = options.get("sliding_window")
    reads: str | None = getattr(module, READS, None)
    if _is_plain(module, query, key, window, stacks, dropout, causal and reads == "first"):
        return attend_stacks(query, key, value, stacks, scaling, causal, reads), None
    counts = [rows * length for rows, length in stacks]
    attended = []
    start = 0
    laid = (torch.split(tensor[0], counts, 1) for tensor in (query, key, value))
    for (rows, length), q, k, v in zip(stacks, *laid, strict=True):
        q, k, v = (_stack(tensor, rows, length) for tensor in (q, k, v))
        mask = None
        if reads is not None:
            q, k, v = _of_one(reads, q, k, v, window, causal)
        elif window is not None and length > window:
            mask = _near(length, window, causal).to(query.device)
        onwards = causal and mask is None and reads is None
        gqa = key.shape[1] != query.shape[1]
        out = scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=onwards, scale=scaling, enable_gqa=gqa
        )
        out = _beside(module, Rows(start, rows, length), out, q, k, mask, onwards, scaling)
        start += rows * length
        if reads is not None:
            # The other queries' places stay empty, so that the model finds the shapes that it expects.
            out = pad(out, (0, 0, 0, length - 1) if reads == "first" else (0, 0, length - 1, 0))
        attended.append(out.transpose(1, 2).reshape(rows * length, query.shape[1], -1))
    return torch.cat(attended).unsqueeze(0), None


def _is_plain(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    window: int | None,
    stacks: Sequence[tuple[int, int]],
    dropout: float,
    sees_itself_alone: bool,
) -> bool:
    """Whether nothing but a stack's own keys and values, all or those before, is to be seen, by as many heads."""
    narrow = window is not None and any(length > window for _, length in stacks)
    special = narrow or dropout > 0 or sees_itself_alone or bool(givers_of(module))
    return not special and query.device.type == "cpu" and query.shape[1] == key.shape[1]


def _of_one(
    reads: str, query: Tensor, key: Tensor, value: Tensor, window: int | None, causal: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The first or the last query of each row, and the keys and values that it sees."""
    if reads == "last":
        start = 0 if window is None else max(0, key.shape[2] - window)
        return query[:, :, -1:], key[:, :, start:], value[:, :, start:]
    stop = 1 if causal else window
    return query[:, :, :1], key[:, :, :stop], value[:, :, :stop]


def _is_causal(module: nn.Module, given: bool | None) -> bool:
    return bool(getattr(module, "is_causal", True) if given is None else given)


def _beside(
    module: nn.Module,
    rows: Rows,
    output: Tensor,
    query: Tensor,
    key: Tensor,
    mask: Tensor | None,
    causal: bool,
    scaling: float | None,
) -> Tensor:
    """`output` (rows, heads, seq, width), attending to what is given beside the tokens too."""
    given = [giver(module, rows) for giver in givers_of(module)]
    if not given:
        return output
    count = max(len(part) for extra in given for part in extra)
    extra = Extra(
        *(
            torch.cat([part.expand(count, *part.shape[1:]) for part in parts], dim)
            for parts, dim in zip(zip(*given, strict=True), (2, 2, 1, 1), strict=True)
        )
    )
    found = attend_beside(output, query, key, mask, causal, scaling, extra)
    noise: Callable[[Tensor], Tensor] | None = getattr(module, NOISE, None)
    return found if noise is None else output + noise(output) * (found - output)


def _stack(laid: Tensor, rows: int, length: int) -> Tensor:
    """(rows, heads, length, width) of (heads, rows * length, width)."""
    return laid.view(laid.shape[0], rows, length, -1).transpose(0, 1)


def _near(length: int, window: int, causal: bool) -> Tensor:
    """(length, length): true where a token sees another, less than `window` away, and before it where `causal`."""
    places = torch.arange(length)
    back = places.unsqueeze(1) - places
    near = back.abs() < window
    return near & (back >= 0) if causal else near
