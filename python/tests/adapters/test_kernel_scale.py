from __future__ import annotations

import torch
from places import filled, layer

from espalier_runtime.adapters.kernel_scale import KERNEL_SCALE


def test_multiplies_every_head_by_the_same_vector() -> None:
    adapter = filled(KERNEL_SCALE.build(layer()["attention.query"], [(0, 1)], 0))
    h = torch.randn(2, 3, 8)
    scale = 1 + adapter.scale[0]
    expected = torch.cat([h[..., :4] * scale, h[..., 4:] * scale], -1)
    torch.testing.assert_close(adapter(h, h), expected)


def test_costs_one_heads_width() -> None:
    assert KERNEL_SCALE.parameters(layer()["attention.query"], 1) == 4
