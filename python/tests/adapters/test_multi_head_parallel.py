from __future__ import annotations

from dataclasses import replace

import torch
from places import filled, layer
from torch.nn import functional

from espalier_runtime import contract
from espalier_runtime.adapters.multi_head_parallel import MultiHeadParallel, multi_head_parallel

SPEC = contract.MultiHeadParallelKind(kind="multiHeadParallel", sizes=[3], activation="relu", scale=1.0)


def test_each_heads_output_gets_its_own_adapter_of_its_own_slice() -> None:
    adapter = filled(multi_head_parallel(SPEC).build(layer()["attention.output"], [(0, 3)], 0))
    assert isinstance(adapter, MultiHeadParallel)
    entry, a = torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    query, output = adapter.hooks()
    assert (query.site.slot, output.site.slot) == ("attention.query", "attention.output")
    assert query.before is not None
    assert output.before is not None
    query.before(entry)
    joined = output.before(a)
    for head in range(2):
        part = slice(4 * head, 4 * head + 4)
        inner = functional.relu(entry[..., part] @ adapter.down[:, head].T)
        torch.testing.assert_close(joined[..., part], a[..., part] + inner @ adapter.up[:, head])


def test_r_units_cost_as_much_as_a_prefix_of_r_tokens() -> None:
    assert multi_head_parallel(SPEC).parameters(layer()["attention.output"], 3) == 2 * 3 * 8


def test_needs_an_input_that_the_heads_share_out_evenly() -> None:
    sites = layer()
    kind = multi_head_parallel(SPEC)
    assert kind.applies(["attention.output"], sites["attention.output"])
    three = replace(sites["attention.output"], heads=3)
    assert not kind.applies(["attention.output"], three)
