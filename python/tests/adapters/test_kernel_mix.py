from __future__ import annotations

import torch
from conftest import tiny
from places import filled, layer

from espalier_runtime import contract
from espalier_runtime.adapters.kernel_mix import KernelMix, kernel_mix

SPEC = contract.KernelMixKind(kind="kernelMix", sizes=[2], shared=2)


def made(slot: str) -> KernelMix:
    adapter = filled(kernel_mix(SPEC).build(layer()[slot], [(0, 2)], 0))
    assert isinstance(adapter, KernelMix)
    return adapter


def shared(adapter: KernelMix, x: torch.Tensor) -> torch.Tensor:
    down, up = adapter.shared_down.flatten(0, 1), adapter.shared_up.flatten(0, 1)
    return x @ down.T @ up


def test_a_heads_query_changes_by_its_own_low_rank_product_of_the_input() -> None:
    adapter, x, h = made("attention.query"), torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    heads = [x @ adapter.down[:, head].T @ adapter.up[:, head] for head in range(2)]
    torch.testing.assert_close(adapter(x, h), h + shared(adapter, x) + torch.cat(heads, -1))


def test_a_heads_value_changes_by_its_own_keys() -> None:
    adapter, x, h, k = made("attention.value"), torch.randn(2, 3, 8), torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    key, value = adapter.hooks()
    assert (key.site.slot, value.site.slot) == ("attention.key", "attention.value")
    assert key.after is not None
    assert torch.equal(key.after(x, k), k)
    heads = [k[..., 4 * i : 4 * i + 4] @ adapter.down[:, i].T @ adapter.up[:, i] for i in range(2)]
    torch.testing.assert_close(adapter(x, h), h + shared(adapter, x) + torch.cat(heads, -1))


def test_the_output_changes_by_the_sum_over_heads() -> None:
    adapter, a, h = made("attention.output"), torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    heads = [a[..., 4 * i : 4 * i + 4] @ adapter.down[:, i].T @ adapter.up[:, i] for i in range(2)]
    torch.testing.assert_close(adapter(a, h), h + shared(adapter, a) + heads[0] + heads[1])


def test_grouped_query_attention_has_an_update_for_each_head_of_its_values() -> None:
    sites = {site.slot: site for site in tiny("llama").sites if site.layer == 0}
    kind = kernel_mix(SPEC)
    # 4 heads of queries and 2 of keys and values, each 8 wide, in a model 32 wide
    assert kind.build(sites["attention.query"], [(0, 2)], 0).up.shape == (2, 4, 8)
    assert kind.build(sites["attention.value"], [(0, 2)], 0).up.shape == (2, 2, 8)
    assert kind.parameters(sites["attention.value"], 1) == 2 * (8 + 8) + 2 * (32 + 16)
    adapter = filled(kind.build(sites["attention.value"], [(0, 2)], 0))
    assert isinstance(adapter, KernelMix)
    x, h, k = torch.randn(2, 3, 32), torch.randn(2, 3, 16), torch.randn(2, 3, 16)
    (key, _) = adapter.hooks()
    assert key.after is not None
    key.after(x, k)
    heads = [k[..., 8 * i : 8 * i + 8] @ adapter.down[:, i].T @ adapter.up[:, i] for i in range(2)]
    torch.testing.assert_close(adapter(x, h), h + shared(adapter, x) + torch.cat(heads, -1))
