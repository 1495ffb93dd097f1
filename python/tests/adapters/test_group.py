from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest
import torch
from conftest import tiny
from places import filled, layer
from products import Products

from espalier_runtime import contract
from espalier_runtime.adapters.base import Chunks
from espalier_runtime.adapters.group import FusedGroup, Residual
from espalier_runtime.adapters.kinds import kinds_of
from espalier_runtime.adapters.unfolded import Unfolded
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import build_space

OF_LINEARS: list[dict[str, object]] = [
    {"kind": "lora", "ranks": [1, 3], "scale": 2.0},
    {"kind": "tarp", "ranks": [1, 3], "scale": 0.5},
    {"kind": "dualLora", "ranks": [1, 3], "scale": 3.0, "orthogonality": 0.0},
    {"kind": "generated", "ranks": [1, 3], "scale": 1.0, "embedding": 2},
]
OF_BLOCKS: list[dict[str, object]] = [
    {"kind": "parallel", "sizes": [1, 3], "activation": "relu"},
    {"kind": "scaledParallel", "sizes": [1, 3], "activation": "gelu", "scale": 2.0},
    {"kind": "uTuning", "sizes": [1, 3], "activation": "softmax", "scale": 0.5},
    {"kind": "unfolded", "sizes": [1, 3], "iterations": 3, "step": 0.1, "threshold": 0.01, "scale": 1.5},
]
CHUNKS: Chunks = [(0, 1), (1, 2)]


def residuals(slot: str, kinds: Sequence[dict[str, object]]) -> list[Residual]:
    """One of each kind at one site, for two tasks, with weights and gates that are no no-op."""
    space = contract.Space.model_validate({"slots": [slot], "layers": None, "kinds": kinds})
    made: list[Residual] = []
    for place, kind in enumerate(kinds_of(space.kinds, tasks=2).values()):
        adapter = filled(kind.build(layer()[slot], CHUNKS, 0), place).double()
        assert isinstance(adapter, Residual)
        if isinstance(adapter, Unfolded):
            # Thresholds above what is pulled would leave nothing.
            adapter.thresholds.data.mul_(0.01)
        # Rows of two tasks, each with gates of its own.
        adapter.gates = torch.rand(2, 1, 3, dtype=torch.float64)
        adapter.task = torch.eye(2).unsqueeze(1)
        made.append(adapter)
    return made


@pytest.mark.parametrize(("slot", "kinds"), [("mlp.up", OF_LINEARS), ("mlp", OF_BLOCKS)])
def test_a_group_is_its_members_one_after_the_other_values_and_gradients(
    slot: str, kinds: list[dict[str, object]]
) -> None:
    torch.manual_seed(0)
    site = layer()[slot]
    apart = residuals(slot, kinds)
    together = copy.deepcopy(apart)
    for own, fused in zip(apart, together, strict=True):
        assert own.gates is not None
        fused.gates = own.gates.clone().requires_grad_()
        own.gates.requires_grad_()
    x = torch.randn(2, 5, layer()["mlp.up"].inputs, dtype=torch.float64)
    h = torch.randn(2, 5, site.outputs, dtype=torch.float64)
    inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]

    expected = h
    for adapter in apart:
        expected = adapter(inputs[0], expected)
    found = FusedGroup(together)(inputs[1], h)

    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    weights = torch.randn_like(h)
    (expected * weights).sum().backward()
    (found * weights).sum().backward()
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad, rtol=1e-12, atol=1e-12)
    for own, fused in zip(apart, together, strict=True):
        assert own.gates is not None
        assert fused.gates is not None
        torch.testing.assert_close(fused.gates.grad, own.gates.grad, rtol=1e-12, atol=1e-12)
        for name, parameter in own.named_parameters():
            assert parameter.grad is not None
            assert bool(parameter.grad.any()), name
            torch.testing.assert_close(fused.get_parameter(name).grad, parameter.grad, rtol=1e-12, atol=1e-12)


def products(slots: list[str], kinds: Sequence[dict[str, object]]) -> int:
    """The products of a forward and a backward of a small model with all candidates of these kinds."""
    backbone = tiny("bert")
    space = build_space(
        contract.Space.model_validate({"slots": slots, "layers": None, "kinds": kinds}), backbone.sites, tasks=2
    )
    pool = AdapterPool(space.candidates, space.kinds, 0)
    pool.use(torch.rand(2, len(space.candidates)), torch.tensor([0, 1]))
    with Products() as counted, pool.attached(backbone.model):
        backbone.model(torch.arange(12).view(2, 6)).last_hidden_state.sum().backward()
    assert all(parameter.grad is not None for parameter in pool.parameters())
    return counted.count


@pytest.mark.parametrize(("slots", "kinds"), [(["attention", "mlp"], OF_LINEARS[:3]), (["mlp"], OF_BLOCKS[:3])])
def test_another_kind_of_equal_form_at_a_site_adds_no_product(slots: list[str], kinds: list[dict[str, object]]) -> None:
    one = products(slots, kinds[:1])
    assert products(slots, kinds[:2]) == one
    assert products(slots, kinds) == one


@pytest.mark.parametrize("count", [1, 4])
def test_under_autocast_shut_gates_leave_states_of_a_higher_precision_as_they_are(count: int) -> None:
    adapters = [adapter.float() for adapter in residuals("mlp", OF_BLOCKS[:count])]
    for adapter in adapters:
        adapter.gates = torch.zeros(2, 1, 3)
    x, h = torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    run = adapters[0] if count == 1 else FusedGroup(adapters)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(run(x, h), h)
        assert run(x, h.bfloat16()).dtype == torch.bfloat16
