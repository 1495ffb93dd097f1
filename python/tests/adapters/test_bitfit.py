from __future__ import annotations

import torch
from places import filled, layer

from espalier_runtime.adapters.bitfit import BITFIT


def test_bitfit_adds_to_the_linears_bias() -> None:
    adapter = filled(BITFIT.build(layer()["mlp.up"], [(0, 1)], 0))
    linear = torch.nn.Linear(8, 12)
    x = torch.randn(2, 3, 8)
    expected = torch.nn.functional.linear(x, linear.weight, linear.bias + adapter.shift[0])
    torch.testing.assert_close(adapter(x, linear(x)), expected)


def test_costs_a_bias() -> None:
    assert BITFIT.parameters(layer()["mlp.up"], 1) == 12
