from __future__ import annotations

import torch
from torch.nn import functional

from espalier_runtime import contract
from espalier_runtime.adapters.bottleneck import bottleneck
from espalier_runtime.adapters.lora import lora
from espalier_runtime.adapters.projections import Projections
from espalier_runtime.backbone.sites import Site

SITE = Site("layers.0.attention.query", 0, "attention.query", "q", 6, 5)
LORA = lora(contract.LoraKind(kind="lora", ranks=[1, 2, 4], scale=2.0))
BOTTLENECK = bottleneck(contract.BottleneckKind(kind="bottleneck", sizes=[4], activation="gelu", scale=0.5))


def filled(group: Projections) -> Projections:
    torch.nn.init.normal_(group.up)
    return group


def test_lora_is_h_plus_s_b_a_x() -> None:
    group = filled(Projections(LORA, SITE, [(0, 1), (1, 1), (2, 2)], seed=0))
    x, h = torch.randn(2, 3, 6), torch.randn(2, 3, 5)
    torch.testing.assert_close(group(x, h), h + 2.0 * (x @ group.down.T @ group.up.T))


def test_bottleneck_is_h_plus_s_up_gelu_down_h() -> None:
    group = filled(Projections(BOTTLENECK, SITE, [(0, 4)], seed=0))
    x, h = torch.randn(2, 3, 6), torch.randn(2, 3, 5)
    torch.testing.assert_close(group(x, h), h + 0.5 * (functional.gelu(h @ group.down.T) @ group.up.T))


def test_gates_between_zero_and_one_scale_the_residual_as_the_papers_convex_gate_does() -> None:
    group = filled(Projections(LORA, SITE, [(0, 4)], seed=0))
    x, h = torch.randn(2, 3, 6), torch.randn(2, 3, 5)
    z = torch.sigmoid(torch.tensor(0.3))
    adapted = group(x, h)
    group.gates = z.expand(2, 1, 4)
    torch.testing.assert_close(group(x, h), z * adapted + (1 - z) * h)


def test_a_unit_starts_at_the_same_weights_in_whatever_structure_it_is_chosen() -> None:
    whole = Projections(LORA, SITE, [(0, 1), (1, 1), (2, 2)], seed=3)
    part = Projections(LORA, SITE, [(2, 2)], seed=3)
    assert torch.equal(whole.down[2:], part.down)
    assert not torch.equal(whole.down, Projections(LORA, SITE, [(0, 4)], seed=4).down)


def test_does_not_change_what_it_is_given() -> None:
    group = filled(Projections(LORA, SITE, [(0, 2)], seed=0))
    x, h = torch.randn(2, 3, 6), torch.randn(2, 3, 5)
    before = h.clone()
    group(x, h)
    assert torch.equal(h, before)
