"""Task arithmetic and TIES, against PEFT's own merging of the same adapters."""

from __future__ import annotations

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn

from espalier_runtime.merge.arithmetic import arithmetic, ties
from espalier_runtime.merge.update import Update, compressed


def updates(count: int, rank: int = 2, outputs: int = 6, inputs: int = 5) -> list[Update]:
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    return [Update(draw(outputs, rank), draw(rank, inputs)) for _ in range(count)]


def in_peft(given: list[Update], combination: str, **options: object) -> Tensor:
    """Delta W of PEFT's `add_weighted_adapter` over adapters that hold the given updates."""
    model = nn.Sequential(nn.Linear(given[0].down.shape[1], given[0].up.shape[0])).double()
    config = LoraConfig(r=given[0].rank, lora_alpha=given[0].rank, target_modules=["0"])
    peft: PeftModel = get_peft_model(model, config, adapter_name="0")  # type: ignore[assignment]
    for index in range(1, len(given)):
        peft.add_adapter(str(index), config)
    layer = peft.base_model.model[0]
    for index, update in enumerate(given):
        layer.lora_A[str(index)].weight.data = update.down.clone()
        layer.lora_B[str(index)].weight.data = update.up.clone()
    names = [str(index) for index in range(len(given))]
    peft.base_model.add_weighted_adapter(names, adapter_name="all", combination_type=combination, **options)
    delta: Tensor = layer.get_delta_weight("all")
    return delta


def test_arithmetic_is_what_peft_computes_with_cat() -> None:
    given = updates(3)
    wanted = in_peft(given, "cat", weights=[0.4, 0.4, 0.4])
    torch.testing.assert_close(arithmetic(given, 0.4).dense(), wanted, rtol=0, atol=1e-12)


def test_ties_is_what_peft_computes_on_the_dense_updates() -> None:
    given = updates(3)
    wanted = in_peft(given, "ties_svd", weights=[0.7] * 3, svd_rank=5, density=0.4)
    torch.testing.assert_close(ties(given, 0.7, 0.4).dense(), wanted, rtol=0, atol=1e-6)


def test_ties_trims_elects_a_sign_and_averages_what_agrees() -> None:
    tasks = [torch.tensor([[4.0, 3.0, 0.1, 5.0]]), torch.tensor([[2.0, -1.0, 0.2, -6.0]])]
    given = [Update(torch.ones(1, 1).double(), tau.double()) for tau in tasks]
    # Of four entries three stay. The first agree; of the second 3 outweighs -1, of the last -6 outweighs 5.
    assert ties(given, 1.0, 0.75).dense().tolist() == [[3.0, 3.0, 0.0, -6.0]]


def test_a_compressed_update_is_the_same_matrix_at_its_own_rank() -> None:
    first, second = updates(2)
    twice = arithmetic([first, first], 0.5)
    whole, kept = compressed(twice, None)
    assert (twice.rank, whole.rank) == (4, 2)
    torch.testing.assert_close(whole.dense(), first.dense(), rtol=0, atol=1e-12)
    assert kept == 1.0
    both = arithmetic([first, second], 1.0)
    part, kept = compressed(both, 3)
    values = torch.linalg.svdvals(both.dense())
    assert part.rank == 3
    torch.testing.assert_close((both.dense() - part.dense()).norm(), values[3], rtol=1e-10, atol=0)
    torch.testing.assert_close(kept, float((values[:3] ** 2).sum() / (values**2).sum()))


def test_one_task_at_weight_one_is_its_own_update() -> None:
    (only,) = updates(1)
    for merged in (arithmetic([only], 1.0), ties([only], 1.0, 1.0)):
        torch.testing.assert_close(merged.dense(), only.dense(), rtol=0, atol=1e-12)
