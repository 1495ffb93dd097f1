from __future__ import annotations

import torch
from places import filled, layer, run
from torch.nn import functional

from espalier_runtime import contract
from espalier_runtime.adapters.bottleneck import bottleneck
from espalier_runtime.adapters.parallel import parallel
from espalier_runtime.adapters.projections import Projections

PLAIN = parallel(contract.ParallelKind(kind="parallel", sizes=[4], activation="relu"))


def test_reads_the_sub_blocks_input_and_adds_to_its_output() -> None:
    adapter = filled(PLAIN.build(layer()["mlp"], [(0, 4)], 0))
    assert isinstance(adapter, Projections)
    entry, inside, h = torch.randn(2, 3, 8), torch.randn(2, 3, 12), torch.randn(2, 3, 8)
    expected = h + functional.relu(entry @ adapter.down.T) @ adapter.up.T
    torch.testing.assert_close(run(adapter, entry, inside, h), expected)


def test_where_the_sub_block_hands_on_its_input_parallel_and_sequential_are_one() -> None:
    """The paper's two insertions differ in what is read: h = OP(x) or x. They agree for OP the identity."""
    site = layer()["attention"]
    sequential = bottleneck(contract.BottleneckKind(kind="bottleneck", sizes=[4], activation="relu", scale=1.0))
    entry = torch.randn(2, 3, 8)
    beside = run(filled(PLAIN.build(site, [(0, 4)], 0)), entry, entry, entry)
    torch.testing.assert_close(beside, filled(sequential.build(site, [(0, 4)], 0))(entry, entry))
