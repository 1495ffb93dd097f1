from __future__ import annotations

import torch
from places import filled, layer

from espalier_runtime.adapters.norm_tuning import NORM_TUNING


def test_norm_tuning_is_a_norm_with_another_weight_and_bias() -> None:
    adapter = filled(NORM_TUNING.build(layer()["mlp.norm"], [(0, 1)], 0))
    norm = torch.nn.LayerNorm(8)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = torch.randn(2, 3, 8)
    weight, bias = norm.weight * (1 + adapter.scale[0]), norm.bias * (1 + adapter.scale[0]) + adapter.shift[0]
    expected = torch.nn.functional.layer_norm(x, (8,), weight, bias)
    torch.testing.assert_close(adapter(x, norm(x)), expected)


def test_costs_a_weight_and_a_bias() -> None:
    assert NORM_TUNING.parameters(layer()["attention.norm"], 1) == 16
