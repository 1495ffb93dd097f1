from __future__ import annotations

import torch
from places import filled, layer

from espalier_runtime import contract
from espalier_runtime.adapters.tarp import Tarp, tarp

KIND = tarp(contract.TarpKind(kind="tarp", ranks=[3], scale=2.0))


def test_the_inner_diagonal_depends_on_the_token() -> None:
    adapter = filled(KIND.build(layer()["mlp.up"], [(0, 3)], 0))
    assert isinstance(adapter, Tarp)
    x, h = torch.randn(8), torch.randn(12)
    diagonal = torch.diag(2 * torch.sigmoid(adapter.control @ x))
    expected = h + 2.0 * adapter.up @ diagonal @ adapter.down @ x
    torch.testing.assert_close(adapter(x.view(1, 1, 8), h.view(1, 1, 12)).flatten(), expected)


def test_without_its_control_it_is_a_lora() -> None:
    adapter = KIND.build(layer()["mlp.up"], [(0, 3)], 0)
    torch.nn.init.normal_(adapter.up)
    x, h = torch.randn(2, 3, 8), torch.randn(2, 3, 12)
    torch.testing.assert_close(adapter(x, h), h + 2.0 * x @ adapter.down.T @ adapter.up.T)
