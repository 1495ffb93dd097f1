from __future__ import annotations

import torch
from torch import nn

from espalier_runtime.training.optimiser import FlatAdamW


def weights() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(5, 3), (7,), (2, 2, 3), (1,)]
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def loss(weights: list[nn.Parameter], step: int) -> torch.Tensor:
    return sum((weight * (index + step + 1)).sin().sum() for index, weight in enumerate(weights))


def test_moves_the_weights_as_adamw_over_each_of_them_does() -> None:
    flat, plain = weights(), weights()
    optimiser = FlatAdamW(flat, weight_decay=0.1, clip=0.7)
    reference = torch.optim.AdamW(plain, weight_decay=0.1)
    for step in range(5):
        loss(flat, step).backward()
        optimiser.step(0.01)
        optimiser.clear()
        loss(plain, step).backward()
        nn.utils.clip_grad_norm_(plain, 0.7)
        reference.param_groups[0]["lr"] = 0.01
        reference.step()
        reference.zero_grad()
    for ours, theirs in zip(flat, plain, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


def test_gradients_of_several_backwards_add_up_in_one_vector() -> None:
    made = weights()
    optimiser = FlatAdamW(made, weight_decay=0.0, clip=1.0)
    loss(made, 0).backward()
    once = optimiser.gradient.clone()
    loss(made, 0).backward()
    torch.testing.assert_close(optimiser.gradient, 2 * once)
    optimiser.clear()
    assert not bool(optimiser.gradient.any())


def test_frozen_weights_stay_apart() -> None:
    made = weights()
    made[1].requires_grad_(False)
    before = made[1].clone()
    optimiser = FlatAdamW(made, weight_decay=0.5, clip=1.0)
    loss(made, 0).backward()
    optimiser.step(0.1)
    assert torch.equal(made[1], before)


def test_closed_every_weight_has_memory_of_its_own() -> None:
    made = weights()
    before = [weight.detach().clone() for weight in made]
    FlatAdamW(made, weight_decay=0.0, clip=1.0).close()
    assert len({weight.untyped_storage().data_ptr() for weight in made}) == len(made)
    assert all(weight.untyped_storage().nbytes() == 4 * weight.numel() for weight in made)
    assert all(torch.equal(was, now) for was, now in zip(before, made, strict=True))


def test_goes_on_from_a_saved_state_bit_for_bit() -> None:
    whole, first, second = weights(), weights(), weights()

    def run(made: list[nn.Parameter], optimiser: FlatAdamW, steps: range) -> None:
        for step in steps:
            loss(made, step).backward()
            optimiser.step(0.01)
            optimiser.clear()

    run(whole, FlatAdamW(whole, weight_decay=0.1, clip=1.0), range(6))
    before = FlatAdamW(first, weight_decay=0.1, clip=1.0)
    run(first, before, range(3))
    after = FlatAdamW(second, weight_decay=0.1, clip=1.0)
    for source, target in zip(first, second, strict=True):
        target.data.copy_(source.data)
    after.load_state_dict(before.state_dict())
    run(second, after, range(3, 6))
    assert all(torch.equal(a, b) for a, b in zip(whole, second, strict=True))
