"""The matrix: what every adapter kind must do on every family. A new kind is one line in KINDS."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from conftest import states, tiny

from espalier_runtime import contract
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import Space, build_space

KINDS: dict[str, dict[str, object]] = {
    "lora": {
        "slots": ["attention", "mlp"],
        "layers": None,
        "kinds": [{"kind": "lora", "ranks": [1, 2, 4], "scale": 2.0}],
    },
    "bottleneck": {
        "slots": ["attention", "mlp", "block"],
        "layers": None,
        "kinds": [{"kind": "bottleneck", "sizes": [2, 6], "activation": "gelu", "scale": 1.0}],
    },
    "lora and bottleneck": {
        "slots": ["attention", "mlp"],
        "layers": [1, 2],
        "kinds": [
            {"kind": "lora", "ranks": [2], "scale": 2.0},
            {"kind": "bottleneck", "sizes": [4], "activation": "relu", "scale": 0.5},
        ],
    },
}


@pytest.fixture(params=sorted(KINDS))
def spec(request: pytest.FixtureRequest) -> contract.Space:
    return contract.Space.model_validate(KINDS[request.param])


def make(family: str, spec: contract.Space, seed: int = 0) -> tuple[Backbone, Space, AdapterPool]:
    backbone = tiny(family)
    space = build_space(spec, backbone.sites)
    return backbone, space, AdapterPool(space.candidates, space.kinds, seed)


def randomise(pool: AdapterPool) -> None:
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for group in pool.members():
            group.up.copy_(torch.randn(group.up.shape, generator=generator) * 0.3)


def test_is_an_exact_no_op_at_init(family: str, spec: contract.Space) -> None:
    backbone, _, pool = make(family, spec)
    with torch.no_grad():
        before = states(backbone)
        with pool.attached(backbone.model):
            during = states(backbone)
    assert torch.equal(before, during)


def test_leaves_the_model_bit_for_bit_as_it_was(family: str, spec: contract.Space) -> None:
    backbone, _, pool = make(family, spec)
    randomise(pool)
    weights = copy.deepcopy(backbone.model.state_dict())
    with torch.no_grad():
        before = states(backbone)
        with pool.attached(backbone.model):
            during = states(backbone)
        after = states(backbone)
    assert not torch.allclose(before, during, atol=1e-3)
    assert torch.equal(before, after)
    assert all(torch.equal(weights[name], value) for name, value in backbone.model.state_dict().items())
    assert not any("forward" in vars(module) for module in backbone.model.modules())


def test_detaches_when_the_forward_fails(family: str, spec: contract.Space) -> None:
    backbone, _, pool = make(family, spec)
    with pytest.raises(RuntimeError, match="on purpose"), pool.attached(backbone.model):
        raise RuntimeError("on purpose")
    assert not any("forward" in vars(module) for module in backbone.model.modules())


def test_sends_gradient_to_the_adapters_and_nowhere_else(family: str, spec: contract.Space) -> None:
    backbone, _, pool = make(family, spec)
    randomise(pool)
    with pool.attached(backbone.model):
        states(backbone).square().sum().backward()
    assert all(weight.grad is None for weight in backbone.model.parameters())
    for name, weight in pool.named_parameters():
        assert weight.grad is not None, name
        # A bias added to every key leaves the softmax as it is: only there may a gradient vanish.
        assert bool(weight.grad.abs().sum() > 0), name


def test_a_shut_gate_is_as_if_the_candidate_were_not_there(family: str, spec: contract.Space) -> None:
    backbone, space, pool = make(family, spec)
    randomise(pool)
    open_ones = torch.arange(len(space.candidates)) % 2 == 0
    fewer = AdapterPool([c for c, kept in zip(space.candidates, open_ones, strict=True) if kept], space.kinds, 5)
    fewer.copy_from(pool)
    with torch.no_grad():
        with pool.attached(backbone.model):
            pool.use(open_ones.float().expand(3, -1))
            gated = states(backbone)
            pool.use(torch.zeros(3, len(space.candidates)))
            shut = states(backbone)
            pool.use(torch.ones(3, len(space.candidates)))
            opened = states(backbone)
            pool.use(None)
            plain = states(backbone)
        with fewer.attached(backbone.model):
            pruned = states(backbone)
        bare = states(backbone)
    torch.testing.assert_close(gated, pruned, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(shut, bare, atol=1e-6, rtol=1e-5)
    assert torch.equal(opened, plain)


def test_each_row_of_a_mixed_batch_runs_under_its_own_gates(family: str, spec: contract.Space) -> None:
    backbone, space, pool = make(family, spec)
    randomise(pool)
    gates = (torch.rand(3, len(space.candidates), generator=torch.Generator().manual_seed(3)) < 0.5).float()
    with torch.no_grad(), pool.attached(backbone.model):
        pool.use(gates)
        mixed = states(backbone)
        for row in range(3):
            pool.use(gates[row].expand(3, -1))
            torch.testing.assert_close(mixed[row], states(backbone)[row], atol=1e-5, rtol=1e-4)


def test_saves_and_reloads_exactly(family: str, spec: contract.Space, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    backbone, space, pool = make(family, spec)
    randomise(pool)
    save_file(pool.state_dict(), tmp_path / "pool.safetensors")
    other = AdapterPool(space.candidates, space.kinds, 99)
    other.load_state_dict(load_file(tmp_path / "pool.safetensors"))
    with torch.no_grad():
        with pool.attached(backbone.model):
            before = states(backbone)
        with other.attached(backbone.model):
            after = states(backbone)
    assert torch.equal(before, after)


def test_costs_what_it_says(family: str, spec: contract.Space) -> None:
    _, space, pool = make(family, spec)
    assert sum(weight.numel() for weight in pool.parameters()) == space.parameters


def test_two_pools_cannot_be_attached_at_one_site(family: str, spec: contract.Space) -> None:
    backbone, _, pool = make(family, spec)
    with pool.attached(backbone.model), pytest.raises(RuntimeError, match="already adapted"):
        with pool.attached(backbone.model):
            pass
