from __future__ import annotations

import torch
from places import filled, layer

from espalier_runtime import contract
from espalier_runtime.adapters.generated import Generated, generated
from espalier_runtime.adapters.lora import lora

SPEC = contract.GeneratedKind(kind="generated", ranks=[3], embedding=2, scale=2.0)


def adapter(tasks: int) -> Generated:
    made = filled(generated(SPEC, tasks).build(layer()["mlp.up"], [(0, 3)], 0))
    assert isinstance(made, Generated)
    return made


def test_the_hyper_network_makes_a_lora_of_the_tasks_embedding() -> None:
    made = adapter(tasks=4)
    plain = lora(contract.LoraKind(kind="lora", ranks=[3], scale=2.0)).build(layer()["mlp.up"], [(0, 3)], 0)
    x, h = torch.randn(4, 5, 8), torch.randn(4, 5, 12)
    made.task = torch.eye(4).unsqueeze(1)
    for task in range(4):
        with torch.no_grad():
            for unit in range(3):
                embedding = made.code[unit, task]
                plain.down[unit] = embedding @ made.down[unit]
                plain.up[:, unit] = embedding @ made.up[unit]
        torch.testing.assert_close(made(x, h)[task], plain(x, h)[task], atol=1e-4, rtol=1e-4)


def test_it_starts_with_rows_as_large_as_a_loras() -> None:
    wide = layer()["mlp.down"]
    made = generated(contract.GeneratedKind(kind="generated", ranks=[500], embedding=4, scale=1.0), 3)
    start = made.build(wide, [(0, 500)], 0)
    assert isinstance(start, Generated)
    plain = lora(contract.LoraKind(kind="lora", ranks=[500], scale=1.0)).build(wide, [(0, 500)], 0)
    rows = (start.code @ start.down).square().mean()
    torch.testing.assert_close(rows, plain.down.square().mean(), rtol=0.1, atol=0)


def test_an_unseen_task_needs_its_embedding_alone() -> None:
    made = adapter(tasks=1)
    made.down.requires_grad_(False)
    made.up.requires_grad_(False)
    target = torch.randn(3, 1, 2)
    x, h = torch.randn(1, 64, 8), torch.zeros(1, 64, 12)
    with torch.no_grad():
        start = made.code.clone()
        made.code.copy_(target)
        wanted = made(x, h)
        made.code.copy_(start)
    optimiser = torch.optim.Adam([made.code], lr=0.05)
    for _ in range(600):
        loss = (made(x, h) - wanted).square().mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    assert float(loss) < 1e-3 * float(wanted.square().mean())


def test_with_one_task_and_one_number_it_costs_a_lora_and_a_number() -> None:
    site = layer()["mlp.up"]
    plain = lora(contract.LoraKind(kind="lora", ranks=[3], scale=2.0))
    single = generated(contract.GeneratedKind(kind="generated", ranks=[3], embedding=1, scale=2.0), 1)
    assert single.parameters(site, 3) == plain.parameters(site, 3) + 3
    several = generated(SPEC, tasks=5)
    assert several.of_others(site, 3) == 3 * 2 * 4


def test_to_one_task_it_is_a_lora_of_its_rank() -> None:
    made = adapter(tasks=4)
    x, h = torch.randn(1, 5, 8), torch.zeros(1, 5, 12)
    made.task = torch.eye(4)[[2]].unsqueeze(1)
    down, up, scale = made.low_rank(torch.arange(3), task=2)
    assert (down.shape, up.shape) == ((3, 8), (12, 3))
    torch.testing.assert_close(scale * x @ (up @ down).T, made(x, h), atol=1e-5, rtol=1e-5)
