"""Attention of stacks as one node: PyTorch's attention of every row by itself, with the same gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from espalier_runtime.backbone.stacks import attend_stacks

STACKS = ((2, 3), (1, 5), (3, 8))
TOKENS = sum(rows * length for rows, length in STACKS)
HEADS, WIDTH = 4, 8


def row_by_row(query: Tensor, key: Tensor, value: Tensor, causal: bool, reads: str | None) -> Tensor:
    found = []
    start = 0
    for rows, length in STACKS:
        for _ in range(rows):
            q, k, v = (tensor[:, :, start : start + length] for tensor in (query, key, value))
            out = scaled_dot_product_attention(q, k, v, is_causal=causal, scale=0.3)
            wanted = torch.zeros(length, 1)
            wanted[{None: slice(None), "first": slice(0, 1), "last": slice(-1, None)}[reads]] = 1
            found.append((out * wanted).transpose(1, 2))
            start += length
    return torch.cat(found, 1)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(
    ("causal", "reads"), [(False, None), (True, None), (False, "first"), (False, "last"), (True, "last")]
)
def test_outputs_and_gradients_are_those_of_every_row_by_itself(causal: bool, reads: str | None, fused: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    size = (1, TOKENS, HEADS, WIDTH)
    weights = torch.randn(size, generator=generator)
    # As a model has them: views of one fused product, or of three.
    parts = torch.randn(1, TOKENS, 3 * HEADS * WIDTH, generator=generator)
    found = []
    for attend in (row_by_row, lambda q, k, v, c, r: attend_stacks(q, k, v, STACKS, 0.3, c, r)):
        leaf = parts.clone().requires_grad_()
        whole = leaf if fused else leaf * 1.0
        laid = (part.view(size).transpose(1, 2) for part in whole.split(HEADS * WIDTH, 2))
        out = attend(*laid, causal, reads)
        (out * weights).sum().backward()
        assert leaf.grad is not None
        found.append((out.detach(), leaf.grad))
    for expected, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-6, rtol=1e-5)
