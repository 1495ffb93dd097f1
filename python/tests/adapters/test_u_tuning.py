from __future__ import annotations

import pytest
import torch
from places import filled, layer, run

from espalier_runtime import contract
from espalier_runtime.adapters.parallel import parallel
from espalier_runtime.adapters.projections import Projections
from espalier_runtime.adapters.u_tuning import u_tuning


def kind(activation: str) -> contract.UTuningKind:
    return contract.UTuningKind.model_validate({"kind": "uTuning", "sizes": [4], "activation": activation, "scale": 1})


def test_beside_the_mlp_it_is_the_parallel_adapter() -> None:
    site = layer()["mlp"]
    other = parallel(contract.ParallelKind(kind="parallel", sizes=[4], activation="relu"))
    entry, x, h = torch.randn(2, 3, 8), torch.randn(2, 3, 12), torch.randn(2, 3, 8)
    mine = run(filled(u_tuning(kind("relu")).build(site, [(0, 4)], 0)), entry, x, h)
    torch.testing.assert_close(mine, run(filled(other.build(site, [(0, 4)], 0)), entry, x, h))


def test_beside_the_attention_with_softmax_it_attends_to_learned_keys_and_values() -> None:
    adapter = filled(u_tuning(kind("softmax")).build(layer()["attention"], [(0, 4)], 0))
    assert isinstance(adapter, Projections)
    entry, h = torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    keys, values = adapter.down, adapter.up.T
    attended = torch.nn.functional.scaled_dot_product_attention(
        entry, keys.expand(2, -1, -1), values.expand(2, -1, -1), scale=1.0
    )
    torch.testing.assert_close(run(adapter, entry, entry, h), h + attended)


def test_beside_the_block_it_reads_the_layers_own_input() -> None:
    adapter = filled(u_tuning(kind("tanh")).build(layer()["block"], [(0, 4)], 0))
    assert isinstance(adapter, Projections)
    assert [hook.site.slot for hook in adapter.hooks()] == ["block"]
    x, h = torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    torch.testing.assert_close(adapter(x, h), h + torch.tanh(x @ adapter.down.T) @ adapter.up.T)


@pytest.mark.parametrize("form", ["prefix", "prompt"])
def test_a_prefix_and_a_prompt_mix_the_frozen_attention_with_its_tuner(form: str) -> None:
    """softmax(q [P_k, K]') [P_v, V] = (1 - lambda) OP + lambda U, of one head whose queries are its input.

    A prompt p has P_k = W_k p and P_v = W_v p.
    """
    torch.manual_seed(0)
    x, to_keys, to_values, prompt = torch.randn(2, 3, 8), torch.randn(8, 8) / 3, torch.randn(8, 8), torch.randn(4, 8)
    own_keys, own_values = (prompt @ to_keys, prompt @ to_values) if form == "prompt" else torch.randn(2, 4, 8) / 3
    keys, values = x @ to_keys, x @ to_values
    adapter = u_tuning(kind("softmax")).build(layer()["attention"], [(0, 4)], 0)
    assert isinstance(adapter, Projections)
    with torch.no_grad():
        adapter.down.copy_(own_keys)
        adapter.up.copy_(own_values.T)
        tuned = run(adapter, x, x, torch.zeros_like(x))
    frozen = torch.softmax(x @ keys.mT, -1) @ values
    inside, outside = (x @ own_keys.T).exp().sum(-1, keepdim=True), (x @ keys.mT).exp().sum(-1, keepdim=True)
    share = inside / (inside + outside)
    whole = torch.cat([own_keys.expand(2, -1, -1), keys], 1), torch.cat([own_values.expand(2, -1, -1), values], 1)
    wanted = torch.nn.functional.scaled_dot_product_attention(x, *whole, scale=1.0)
    torch.testing.assert_close((1 - share) * frozen + share * tuned, wanted, atol=1e-5, rtol=1e-5)


def test_under_softmax_gates_scale_what_is_attended_to_and_a_shut_one_has_no_share() -> None:
    adapter = filled(u_tuning(kind("softmax")).build(layer()["attention"], [(0, 4)], 0))
    entry, h = torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    whole = run(adapter, entry, entry, h) - h
    adapter.gates = torch.full((2, 1, 4), 0.3)
    torch.testing.assert_close(run(adapter, entry, entry, h) - h, 0.3 * whole)
    # As many gates as units: all shut but one, whose value alone is attended to.
    adapter.gates = torch.tensor([0.0, 0.4, 0.0, 0.0]).expand(2, 1, 4)
    torch.testing.assert_close(run(adapter, entry, entry, h) - h, 0.4 * adapter.up[:, 1].expand(2, 3, 8))


def test_under_softmax_gates_that_are_all_shut_get_the_gradient_of_opening_together() -> None:
    adapter = filled(u_tuning(kind("softmax")).build(layer()["attention"], [(0, 4)], 0))
    entry, h = torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    whole = run(adapter, entry, entry, h) - h
    z = torch.zeros(2, 1, 4, requires_grad=True)
    adapter.gates = z
    run(adapter, entry, entry, h).sum().backward()
    assert z.grad is not None
    torch.testing.assert_close(z.grad.sum(), whole.sum())
