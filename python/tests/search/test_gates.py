"""The claims that make one gate a special case of another, checked step by step."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from problems import budgeted, paper, problem

from espalier_runtime import contract
from espalier_runtime.errors import TrialError
from espalier_runtime.search.budgeted import BudgetedGates, search_budgeted
from espalier_runtime.search.importance import ImportanceGates, search_importance
from espalier_runtime.search.methods import find_structure
from espalier_runtime.search.paper import PaperGates, search_paper
from espalier_runtime.search.problem import GateHistory
from espalier_runtime.structure.budget import spent
from espalier_runtime.structure.gates import FixedGates, KeptGates


def importance() -> contract.ImportanceMethod:
    return contract.ImportanceMethod(
        method="importance",
        name="importance",
        fit="retrain",
        epochs=None,
        smoothing=0.85,
        warmup=0.1,
        budget_reached=0.6,
    )


def test_without_noise_and_budget_at_temperature_one_budgeted_gates_are_the_papers() -> None:
    ours, theirs = problem(), problem()
    gates = BudgetedGates(2, ours.costs(), None, budgeted(noise=False, temperature=[1.0, 1.0]), seed=0)
    reference = PaperGates(2, theirs.costs(), paper(sparsity=0.0))
    losses = ours.train(ours.model(), gates, None).losses
    assert losses == theirs.train(theirs.model(), reference, None).losses
    assert torch.equal(gates.logits.shared, reference.logits.shared)
    assert torch.equal(gates.logits.delta, reference.logits.delta)


def test_gates_that_are_all_open_are_a_plain_adapter() -> None:
    class Open:
        def open(self, step: int, steps: int) -> torch.Tensor:
            return torch.ones(2, len(given.space.candidates))

        def learn(self, gradient: torch.Tensor) -> None:
            pass

    given = problem()
    opened = given.train(given.model(), Open(), None).losses
    rows = torch.ones(2, len(given.space.candidates), dtype=torch.bool)
    plain = given.train(given.model(), FixedGates(rows), None).losses
    assert opened == pytest.approx(plain, abs=1e-6)


def test_tasks_with_disjoint_rows_learn_what_each_learns_alone() -> None:
    both = problem(batchSize=48, epochs=1, gradientClip=1e9)
    rows = torch.zeros(2, len(both.space.candidates), dtype=torch.bool)
    rows[0, ::2] = True
    rows[1, 1::2] = True
    mixed = both.model()
    with mixed.adapters.attached(both.backbone.model):
        mixed.losses(both.corpus.batch(range(48)), rows.float()).sum().backward()
    for task in (0, 1):
        alone = both.model()
        with alone.adapters.attached(both.backbone.model):
            alone.losses(both.corpus.batch(both.corpus.of_task(task)), rows.float()).sum().backward()
        for index in range(len(both.space.candidates)):
            group, units = mixed.adapters.units(index)
            other, _ = alone.adapters.units(index)
            assert group.up.grad is not None
            assert other.up.grad is not None
            theirs = other.up.grad[:, units]
            if rows[task, index]:
                torch.testing.assert_close(group.up.grad[:, units], theirs, atol=1e-5, rtol=1e-3)
            else:
                assert not bool(theirs.any())


def test_every_step_of_a_budgeted_search_spends_its_budget() -> None:
    given = problem(budget=1000)
    gates = BudgetedGates(2, given.costs(), 1000, budgeted(), seed=0)
    seen = []

    class Watched:
        def open(self, step: int, steps: int) -> torch.Tensor:
            z = gates.open(step, steps)
            seen.append(spent(gates._p, given.costs()))
            return z

        def learn(self, gradient: torch.Tensor) -> None:
            gates.learn(gradient)

    given.train(given.model(), Watched(), None)
    whole = given.space.parameters
    assert seen[0] == pytest.approx(whole / 2, rel=1e-4)
    assert all(later <= earlier + 1e-3 for earlier, later in pairwise(seen))
    assert seen[-1] == pytest.approx(1000, rel=1e-4)


def test_tasks_with_equal_probabilities_open_the_same_gates() -> None:
    given = problem()
    gates = BudgetedGates(2, given.costs(), 1000, budgeted(), seed=0)
    z = gates.open(0, 10)
    assert torch.equal(z[0], z[1])
    assert set(z.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("search", ["budgeted", "paper", "importance"])
def test_a_search_gives_a_structure_within_the_budget_and_the_same_one_again(search: str) -> None:
    def once() -> object:
        given = problem(budget=1000)
        match search:
            case "budgeted":
                return search_budgeted(given, budgeted(), "m").structure
            case "paper":
                return search_paper(given, paper(0.1), "m").structure
            case _:
                return search_importance(given, importance(), "m").structure

    first = once()
    assert first == once()
    assert 936 < first.union <= 1000  # type: ignore[attr-defined]


def test_the_gates_gradient_is_the_inner_product_of_w_up_with_its_gradient() -> None:
    given = problem(tasks=1)
    model = given.model()
    for group in model.adapters.members():
        torch.nn.init.normal_(group.up, std=0.1)
    z = torch.ones(1, len(given.space.candidates), requires_grad=True)
    with model.adapters.attached(given.backbone.model):
        model.losses(given.corpus.batch(range(8)), z).sum().backward()
    assert z.grad is not None
    for index in range(len(given.space.candidates)):
        group, units = model.adapters.units(index)
        assert group.up.grad is not None
        inner = (group.up.detach()[:, units] * group.up.grad[:, units]).sum()
        torch.testing.assert_close(z.grad[0, index], inner, atol=1e-5, rtol=1e-3)


def test_importance_is_sensitivity_times_uncertainty_and_opens_the_best_under_the_budget() -> None:
    given = problem(budget=640, tasks=1)
    gates = ImportanceGates(1, given.space, 640, importance())
    gradient = torch.zeros(1, len(given.space.candidates))
    gradient[0, 3], gradient[0, 7] = 2.0, 1.0
    gates.open(0, 10)
    gates.learn(gradient)
    # I = 0.15 S and U = 0.15 |S - I| = 0.1275 S: the product goes with the square of S.
    assert gates.scores()[0, 3] / gates.scores()[0, 7] == pytest.approx(4.0)
    opened = gates.open(9, 10)[0]
    assert opened[3] == opened[7] == 1.0
    assert float((opened * given.costs()).sum()) <= 640


def history(first: torch.Tensor, last: torch.Tensor, gradient: float, moved: float = 1.0) -> GateHistory:
    return GateHistory(steps=[0, 1], values=[first, last], gradient=gradient, moved=moved)


HALF = torch.full((1, 4), 0.5)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (history(HALF, HALF + 0.1, 0.0), "got no gradient"),
        (history(HALF, HALF + 0.1, 1.0, moved=0.0), "never moved"),
        (history(HALF, torch.full((1, 4), 1e-5), 1.0), "every gate is shut"),
        (history(HALF, torch.full((1, 4), 0.99999), 1.0), "every gate is open"),
    ],
)
def test_gates_that_learned_nothing_end_the_trial(found: GateHistory, message: str) -> None:
    with pytest.raises(TrialError, match=message):
        found.check("m")


def test_at_a_task_rate_of_zero_all_tasks_share_one_structure() -> None:
    found = search_budgeted(problem(), budgeted(taskGateLearningRate=0.0), "m").structure
    assert found.rows[0] == found.rows[1] == (True,) * len(found.candidates)


@pytest.mark.parametrize(
    "method",
    [
        budgeted(),
        paper(0.0),
        contract.LearnableRankMethod(method="learnableRank", name="m", temperature=[1.0, 0.25]),
        contract.TamsMethod(method="tams", name="m", temperature=[1.0, 0.25]),
        contract.SoraMethod(method="sora", name="m"),
    ],
    ids=lambda method: str(method.method),
)
def test_a_learning_rate_of_almost_zero_is_noticed(method: Any) -> None:
    rates = {name: 1e-12 for name in ("gate_learning_rate", "task_gate_learning_rate") if hasattr(method, name)}
    with pytest.raises(TrialError, match="never moved"):
        find_structure(problem(tasks=1, epochs=1), method.model_copy(update=rates), 0)


def test_kept_gates_are_open_as_their_rows_say_and_the_others_learn() -> None:
    given: list[torch.Tensor] = []

    class Inner:
        def open(self, step: int, steps: int) -> torch.Tensor:
            return torch.tensor([[0.3], [0.7]])

        def learn(self, gradient: torch.Tensor) -> None:
            given.append(gradient)

    gates = KeptGates(torch.tensor([[True, False], [True, True]]), Inner())
    opened = gates.open(0, 1)
    assert opened is not None
    assert torch.equal(opened, torch.tensor([[1.0, 0.0, 0.3], [1.0, 1.0, 0.7]]))
    gates.learn(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    assert given[0].tolist() == [[3.0], [6.0]]


def test_fixed_rows_that_are_all_open_need_no_gates() -> None:
    assert FixedGates(torch.ones(2, 3, dtype=torch.bool)).open(0, 1) is None
    some = FixedGates(torch.tensor([[True, False]])).open(0, 1)
    assert some is not None
    assert some.tolist() == [[1.0, 0.0]]


def test_what_is_told_of_importances_gates_is_which_are_open_and_a_budget_may_open_all() -> None:
    given = problem(tasks=1, budget=10**6)
    found = search_importance(given, importance(), "importance")
    assert found.history is not None
    assert all(set(values.unique().tolist()) <= {0.0, 1.0} for values in found.history.values)
    assert bool((found.history.values[-1] == 1).all())
