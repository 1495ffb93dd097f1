"""What routing must be: nothing at one path, single-task at one-hot shares, and no product more for another task."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from conftest import tiny
from problems import LINEARS, budgeted, corpus, paper, problem
from torch.utils._python_dispatch import TorchDispatchMode

from espalier_runtime import contract
from espalier_runtime.search.budgeted import BudgetedGates, search_budgeted
from espalier_runtime.search.paper import PaperGates, search_paper
from espalier_runtime.search.problem import SearchProblem
from espalier_runtime.structure.gates import FixedGates
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.routing import Combine, RoutedGates, Routes, harden_routes
from espalier_runtime.structure.space import build_space
from espalier_runtime.structure.structure import Structure, from_record, harden, to_record


def paths(count: int, *, slots: list[str] | None = None, ranks: list[int] | None = None) -> contract.Space:
    kinds = [contract.LoraKind(kind="lora", ranks=ranks or [1, 2, 4], scale=2.0)]
    return contract.Space(slots=slots or LINEARS, layers=None, kinds=kinds, paths=count)


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
def test_with_one_path_every_combination_is_the_gate_exactly(combine: Combine) -> None:
    plain, routed = problem(), problem()
    gates = PaperGates(2, plain.costs(), paper(sparsity=1.0))
    losses = plain.train(plain.model(), gates, None).losses
    inner = PaperGates(2, routed.costs(), paper(sparsity=1.0))
    outer = RoutedGates(
        inner, routes_of(routed, combine), learning_rate=0.05, temperature=(1.0, 1.0), noise=True, seed=0
    )
    assert losses == routed.train(routed.model(), outer, None).losses
    assert torch.equal(gates.logits.shared, inner.logits.shared)
    assert torch.equal(gates.logits.delta, inner.logits.delta)
    assert bool((outer.shares() == 1).all())


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


def test_what_a_step_teaches_goes_to_gates_and_routes_as_the_chain_rule_says() -> None:
    given = problem(space=paths(2, slots=["mlp.up"], ranks=[4]))
    routes = routes_of(given, "softmax")
    torch.nn.init.normal_(routes.logits, generator=torch.Generator().manual_seed(2))
    z = torch.rand(2, 6, generator=torch.Generator().manual_seed(4))
    heard: list[torch.Tensor] = []

    class Inner:
        def open(self, step: int, steps: int) -> torch.Tensor:
            return z

        def learn(self, gradient: torch.Tensor) -> None:
            heard.append(gradient)

    gates = RoutedGates(Inner(), routes, learning_rate=0.0, temperature=(1.0, 1.0), noise=False, seed=0)
    opened = gates.open(0, 1)
    gradient = torch.randn(2, 6, generator=torch.Generator().manual_seed(5))
    gates.learn(gradient)
    logits = routes.logits.detach().clone().requires_grad_()
    pi = torch.softmax(logits.view(2, 3, 2), dim=2).view(2, 6)
    torch.testing.assert_close(opened, (pi * z).detach())
    (pi * z).backward(gradient)
    torch.testing.assert_close(heard[0], gradient * pi.detach())
    torch.testing.assert_close(routes.logits.grad, logits.grad)


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


@pytest.mark.parametrize("combine", ["gate", "softmax", "bernoulli"])
@pytest.mark.parametrize("method", ["budgeted", "paper"])
def test_a_routed_search_keeps_the_budget_and_finds_the_same_again(method: str, combine: str) -> None:
    def found() -> Structure:
        given = problem(budget=1000, space=paths(2))
        if method == "budgeted":
            return search_budgeted(given, budgeted(combine=combine), "m").structure
        return search_paper(given, paper(0.1).model_copy(update={"combine": combine}), "m").structure

    first = found()
    assert first == found()
    assert 936 < first.union <= 1000
    for row in first.rows:
        by_place: dict[str, dict[int, float]] = {}
        for candidate, share in zip(first.candidates, row, strict=True):
            if share > 0:
                by_place.setdefault(candidate.site.name, {})[candidate.path] = share
        for shares in by_place.values():
            assert sum(shares.values()) == pytest.approx(1.0 if combine != "gate" else len(shares))


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


class Products(TorchDispatchMode):
    """Counts the matrix products that run inside."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in ("mm", "addmm", "bmm", "baddbmm"):
            self.count += 1
        return func(*args, **(kwargs or {}))


def products(tasks: int, count: int) -> int:
    """The products of a step through the adapted backbone, of a batch of 48 rows that mixes `tasks` tasks."""
    given = replace(problem(tasks=tasks, space=paths(count)), corpus=corpus(tasks, 48 // tasks))
    gates = RoutedGates(
        BudgetedGates(tasks, given.costs(), 4000, budgeted(), seed=0),
        routes_of(given, "softmax"),
        learning_rate=0.05,
        temperature=(1.0, 0.25),
        noise=False,
        seed=0,
    )
    model = given.model()
    with Products() as counted, model.adapters.attached(given.backbone.model):
        z = gates.open(0, 1).requires_grad_()
        model.pooled(given.corpus.batch(range(48)), z).sum().backward()
        assert z.grad is not None
        gates.learn(z.grad)
    return counted.count


def test_neither_another_task_nor_another_path_adds_a_product_to_a_mixed_step() -> None:
    first = products(tasks=2, count=1)
    assert first > 18 * 2  # two products a site, forward alone
    assert products(tasks=4, count=1) == first
    assert products(tasks=4, count=3) == first


def test_routed_gates_that_are_continued_go_on_as_if_they_had_never_stopped() -> None:
    def fresh() -> RoutedGates:
        given = problem(space=paths(2))
        inner = BudgetedGates(2, given.costs(), 1000, budgeted(), seed=0)
        return RoutedGates(
            inner, routes_of(given, "bernoulli"), learning_rate=0.05, temperature=(1.0, 0.25), noise=True, seed=0
        )

    def step(gates: RoutedGates, at: int) -> torch.Tensor:
        opened = gates.open(at, 6)
        gates.learn(torch.randn(opened.shape, generator=torch.Generator().manual_seed(at)))
        return opened

    whole, first, second = fresh(), fresh(), fresh()
    expected = [step(whole, at) for at in range(6)]
    for at in range(3):
        step(first, at)
    second.load_state_dict(first.state_dict())
    assert all(torch.equal(step(second, at), expected[at]) for at in range(3, 6))
    assert torch.equal(second.shares(), whole.shares())
