"""Attention over stacks of rows as one node of autograd, on the CPU.

    o_i = softmax(s q_i K_r^T) V_r        for the tokens i of row r, and over that row's keys and values alone

The kernel is PyTorch's own, once a stack. As one operation of autograd a batch has neither a graph of views a stack nor
zeros to add up for each: half of the time that short rows cost otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward.default


def attend_stacks(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    stacks: Sequence[tuple[int, int]],
    scaling: float | None,
    causal: bool,
    reads: str | None,
) -> Tensor:
    """(1, T, heads, width) of query, key and value (1, heads, T, width), whose rows lie in these (rows, length) stacks.

    `reads` "first" or "last": of each row only that query's output is wanted, and others are zero.
    """
    found: Tensor = _AttendStacks.apply(  # type: ignore[no-untyped-call]
        query, key, value, tuple(stacks), scaling, causal, reads
    )
    return found


class _AttendStacks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        stacks: Sequence[tuple[int, int]],
        scaling: float | None,
        causal: bool,
        reads: str | None,
    ) -> Tensor:
        ctx.given = stacks, scaling, causal and reads is None, reads
        output = _like(query, filled=reads is None)
        masses = []
        for q, k, v, out in zip(
            _cuts(query, stacks, reads),
            _cuts(key, stacks),
            _cuts(value, stacks),
            _cuts(output, stacks, reads),
            strict=True,
        ):
            attended, mass = _forward(q, k, v, 0.0, ctx.given[2], scale=scaling)
            out.copy_(attended)
            masses.append(mass)
        ctx.save_for_backward(query, key, value, output, *masses)
        return output.transpose(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        stacks, scaling, causal, reads = ctx.given
        query, key, value, output, *masses = ctx.saved_tensors
        to_query, to_key, to_value = _like(query, filled=reads is None), _like(key), _like(value)
        read = (_cuts(laid, stacks, reads) for laid in (gradient.transpose(1, 2), query, output, to_query))
        whole = (_cuts(laid, stacks) for laid in (key, value, to_key, to_value))
        for g, q, out, to_q, k, v, to_k, to_v, mass in zip(*read, *whole, masses, strict=True):
            parts = _backward(g, q, k, v, out, mass, 0.0, causal, scale=scaling)
            for to, part in zip((to_q, to_k, to_v), parts, strict=True):
                to.copy_(part)
        return to_query, to_key, to_value, None, None, None, None


def _cuts(laid: Tensor, stacks: Sequence[tuple[int, int]], reads: str | None = None) -> Iterator[Tensor]:
    """Each stack's (rows, heads, length, width) of `laid` (1, heads, T, width), or of each row the token that is read.

    Views, each made by a single operation: short rows are many stacks.
    """
    _, heads, _, width = laid.shape
    _, by_head, by_token, by_number = laid.stride()
    at = laid.storage_offset()
    for rows, length in stacks:
        count = length if reads is None else 1
        first = at + (length - 1) * by_token if reads == "last" else at
        yield laid.as_strided((rows, heads, count, width), (length * by_token, by_head, by_token, by_number), first)
        at += rows * length * by_token


def _like(laid: Tensor, *, filled: bool = True) -> Tensor:
    """An empty tensor for (1, heads, T, width), each token's numbers in one piece; zeros where not all is `filled`."""
    batch, heads, tokens, width = laid.shape
    make = laid.new_empty if filled else laid.new_zeros
    return make(batch, tokens, heads, width).transpose(1, 2)
