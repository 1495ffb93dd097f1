from __future__ import annotations

import torch
from places import filled, layer
from problems import problem

from espalier_runtime import contract
from espalier_runtime.adapters.dual_lora import DualLora, dual_lora
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.structure import Structure

SPEC = contract.DualLoraKind(kind="dualLora", ranks=[1, 3], scale=2.0, orthogonality=0.5)
KIND = dual_lora(SPEC, tasks=2)
SPACE = contract.Space(slots=["mlp"], layers=None, kinds=[SPEC])


def adapter() -> DualLora:
    made = filled(KIND.build(layer()["mlp.up"], [(0, 1), (1, 2)], 0))
    assert isinstance(made, DualLora)
    return made


def test_a_row_has_the_shared_path_less_its_own_tasks() -> None:
    made = adapter()
    x, h = torch.randn(3, 5, 8), torch.randn(3, 5, 12)
    made.task = torch.eye(2)[[1, 0, 1]].unsqueeze(1)
    for row, task in enumerate([1, 0, 1]):
        shared = made.up[:, 0].T @ made.down[:, 0]
        own = made.up[:, 1 + task].T @ made.down[:, 1 + task]
        expected = h[row] + 2.0 * x[row] @ (shared - own).T
        torch.testing.assert_close(made(x, h)[row], expected, atol=1e-4, rtol=1e-4)


def test_to_one_task_it_is_a_lora_of_twice_the_rank() -> None:
    made = adapter()
    x, h = torch.randn(1, 5, 8), torch.zeros(1, 5, 12)
    made.task = torch.eye(2)[[1]].unsqueeze(1)
    down, up, scale = made.low_rank(torch.arange(3), task=1)
    assert (down.shape, up.shape) == ((6, 8), (12, 6))
    torch.testing.assert_close(scale * x @ (up @ down).T, made(x, h), atol=1e-5, rtol=1e-5)


def test_orthogonal_paths_add_nothing_to_the_loss_and_others_their_products() -> None:
    made = adapter()
    penalty = made.penalty()
    assert penalty is not None
    shared = made.down[:, 0].detach()
    products = [float((shared @ made.down[:, 1 + task].detach().T).square().sum()) for task in (0, 1)]
    torch.testing.assert_close(penalty, torch.tensor(0.5 * sum(products) / 2))
    with torch.no_grad():
        made.down.zero_()
        made.down[:, 0, 0] = 1
        made.down[:, 1:, 1] = 1
    apart = made.penalty()
    assert apart is not None
    assert float(apart.detach()) == 0.0


def test_the_term_draws_the_paths_apart() -> None:
    made = adapter()
    optimiser = torch.optim.Adam([made.down], lr=0.05)
    first = last = float("nan")
    for step in range(200):
        penalty = made.penalty()
        assert penalty is not None
        penalty.backward()
        optimiser.step()
        optimiser.zero_grad()
        first, last = (float(penalty) if step == 0 else first), float(penalty)
    assert last < 1e-3 * first


def test_rows_of_one_task_teach_the_shared_path_and_that_tasks_alone() -> None:
    given = problem(space=SPACE)
    pool = AdapterPool(given.space.candidates, given.space.kinds, 0)
    model = given.model()
    model.adapters.load_state_dict({name: torch.randn_like(value) * 0.1 for name, value in pool.state_dict().items()})
    with model.adapters.attached(given.backbone.model):
        model.losses(given.corpus.batch(given.corpus.of_task(1)), None).sum().backward()
    for module in model.pool.members():
        assert isinstance(module, DualLora)
        assert module.up.grad is not None
        moved = module.up.grad.abs().sum((0, 2)) > 0
        assert moved.tolist() == [True, False, True]


def test_a_tasks_count_leaves_out_what_other_tasks_own() -> None:
    given = problem(space=SPACE, tasks=3)
    chosen = given.space.candidates
    rows = tuple(tuple(1.0 for _ in chosen) for _ in given.tasks)
    structure = Structure("all", given.tasks, None, chosen, rows, rows)
    pool = AdapterPool(chosen, given.space.kinds, 0)
    assert structure.union == sum(weight.numel() for weight in pool.parameters())
    # Of the shared path and those of three tasks, a task uses two.
    assert structure.parameters("task0") == structure.union // 2
