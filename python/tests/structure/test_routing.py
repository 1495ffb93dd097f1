"""What routing must be: shares that sum to one, single-task at one-hot shares, and hard routes."""

from __future__ import annotations

import pytest
import torch
from conftest import tiny
from problems import paths, problem

from espalier_runtime import contract
from espalier_runtime.search.problem import SearchProblem
from espalier_runtime.structure.gates import FixedGates
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.routing import Combine, Routes, harden_routes
from espalier_runtime.structure.space import build_space
from espalier_runtime.structure.structure import Structure, from_record, harden, to_record


def routes_of(given: SearchProblem, combine: Combine) -> Routes:
    return Routes(len(given.tasks), given.space.candidates, combine, seed=0)


def randomised(pool: AdapterPool) -> AdapterPool:
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for group in pool.members():
            group.up.copy_(torch.randn(group.up.shape, generator=generator) * 0.3)
    return pool


def test_a_space_of_paths_holds_each_candidate_once_a_path_with_units_of_its_own() -> None:
    one, two = build_space(paths(1), tiny("bert").sites), build_space(paths(2), tiny("bert").sites)
    assert two.parameters == 2 * one.parameters
    assert [c for c in two.candidates if c.path == 0] == list(one.candidates)
    site = [c for c in two.candidates if c.site.name == "layers.0.mlp.up"]
    assert [(c.path, c.start, c.size, c.level) for c in site] == [
        (0, 0, 1, 0),
        (0, 1, 1, 1),
        (0, 2, 2, 2),
        (1, 4, 1, 3),
        (1, 5, 1, 4),
        (1, 6, 2, 5),
    ]


@pytest.mark.parametrize("combine", ["softmax", "bernoulli"])
def test_shares_of_a_place_sum_to_one_and_chunks_of_a_path_share_it(combine: Combine) -> None:
    given = problem(space=paths(3))
    routes = routes_of(given, combine)
    torch.nn.init.normal_(routes.logits, std=30.0, generator=torch.Generator().manual_seed(2))
    draw = torch.rand(1, routes.logits.shape[1], generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        pi = routes(0.25, draw)
    assert bool(torch.isfinite(pi).all())
    for site in {c.site.name for c in given.space.candidates}:
        firsts = [i for i, c in enumerate(given.space.candidates) if c.site.name == site and c.level % 3 == 0]
        torch.testing.assert_close(pi[:, firsts].sum(1), torch.ones(2))
        for first in firsts:
            assert torch.equal(pi[:, first], pi[:, first + 1])
            assert torch.equal(pi[:, first], pi[:, first + 2])


def test_softmax_shares_are_the_softmax_of_the_logits_over_the_temperature() -> None:
    given = problem(space=paths(2, slots=["mlp.up"], ranks=[4]))
    routes = routes_of(given, "softmax")
    torch.nn.init.normal_(routes.logits, generator=torch.Generator().manual_seed(2))
    expected = torch.softmax(routes.logits.view(2, 3, 2) / 0.5, dim=2).view(2, 6)
    torch.testing.assert_close(routes(0.5), expected)


def test_one_hot_routing_gives_each_task_what_it_learns_alone() -> None:
    both = problem(space=paths(2), batchSize=48)
    routes = routes_of(both, "softmax")
    with torch.no_grad():
        routes.logits.view(2, -1, 2).copy_(torch.tensor([[200.0, -200.0], [-200.0, 200.0]]).unsqueeze(1))
    pi = routes(1.0).detach()
    model = both.model()
    randomised(model.pool)
    with model.adapters.attached(both.backbone.model):
        model.losses(both.corpus.batch(range(48)), pi).sum().backward()
    for task in (0, 1):
        alone = both.model()
        randomised(alone.pool)
        own = [i for i, c in enumerate(both.space.candidates) if c.path == task]
        alone.adapters = alone.pool.part(own)
        rows = both.corpus.of_task(task)
        with alone.adapters.attached(both.backbone.model):
            alone.losses(both.corpus.batch(rows), None).sum().backward()
        for place, index in enumerate(own):
            (group, units), (other, theirs) = model.pool.units(index), alone.pool.units(place)
            assert group.up.grad is not None
            assert other.up.grad is not None
            torch.testing.assert_close(group.up.grad[:, units], other.up.grad[:, theirs], atol=1e-4, rtol=1e-3)


def test_all_gates_open_without_sparsity_is_a_plain_adapter_of_all_ranks() -> None:
    # Two paths of rank 2 with every gate open are one LoRA of rank 4.
    two, one = problem(space=paths(2, ranks=[2])), problem(space=paths(1, ranks=[4]))
    open_all = FixedGates(torch.ones(2, len(two.space.candidates)))
    routed = two.train(two.model(), open_all, None).losses
    assert routed == one.train(one.model(), FixedGates(None), None).losses


def test_a_task_that_keeps_one_path_takes_it_whole_and_one_that_keeps_two_mixes_them() -> None:
    given = problem(budget=4 * 320, space=paths(2, slots=["mlp.up"], ranks=[4]))
    pi = torch.tensor([[0.9, 0.1, 0.6, 0.4, 0.5, 0.5], [0.1, 0.9, 0.5, 0.5, 0.5, 0.5]])
    scores = pi * torch.tensor([1.0, 1.0, 1.0, 1.0, 0.1, 0.1])
    structure = harden_routes(harden(scores, given.space, given.limits, given.tasks, "m"), given.space, pi)
    assert [(c.site.layer, c.path) for c in structure.candidates] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert structure.rows[0] == pytest.approx((1.0, 0.0, 0.6, 0.4))
    assert structure.rows[1] == pytest.approx((0.0, 1.0, 0.5, 0.5))
    assert (structure.parameters("task0"), structure.union) == (3 * 320, 4 * 320)
    text = to_record(structure, given.backbone, given.space).model_dump_json(by_alias=True)
    record = contract.Structure.model_validate_json(text)
    assert [entry.path for entry in record.candidates] == [0, 1, 0, 1]
    assert record.candidates[2].weights == pytest.approx({"task0": 0.6, "task1": 0.5})
    assert record.candidates[0].weights == {}
    assert from_record(record, given.backbone.sites, given.space.kinds) == structure


def hard(given: SearchProblem, tasks: int) -> Structure:
    """Every task keeps a path of its own at every site, and mixes it with the last one."""
    candidates = given.space.candidates
    rows = [[0.7 * (c.path == task) + 0.3 * (c.path == tasks) for c in candidates] for task in range(tasks)]
    return Structure(
        method="m",
        tasks=tuple(f"task{task}" for task in range(tasks)),
        budget=given.space.parameters,
        candidates=candidates,
        rows=tuple(tuple(row) for row in rows),
        scores=tuple(tuple(row) for row in rows),
    )


def test_a_task_alone_runs_its_own_adapters_only_and_gives_what_the_mixed_batch_gives() -> None:
    given = problem(space=paths(3))
    model = given.model()
    randomised(model.pool)
    structure = hard(given, 2)
    gates = structure.gates()
    batch = given.corpus.batch(range(48))
    with torch.no_grad():
        with model.adapters.attached(given.backbone.model):
            mixed = model.pooled(batch, gates)
        for task in (0, 1):
            own, own_gates = model.alone(task, gates)
            assert own.pool.candidates == structure.of_task(f"task{task}")
            assert sum(w.numel() for w in own.pool.parameters()) == structure.parameters(f"task{task}")
            rows = given.corpus.of_task(task)
            with own.adapters.attached(given.backbone.model):
                pooled = own.pooled(given.corpus.batch(rows), own_gates)
            torch.testing.assert_close(pooled, mixed[rows], atol=1e-5, rtol=1e-4)


def test_a_task_that_mixes_nothing_needs_no_gates() -> None:
    given = problem(space=paths(2))
    rows = torch.tensor([[float(c.path == task) for c in given.space.candidates] for task in (0, 1)])
    own, gates = given.model().alone(1, rows)
    assert gates is None
    assert {c.path for c in own.pool.candidates} == {1}
