from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from problems import problem

from espalier_runtime.errors import TrialError
from espalier_runtime.structure.gates import FixedGates
from espalier_runtime.tasks.corpus import Batch
from espalier_runtime.training.evaluate import predict
from espalier_runtime.training.loop import train
from espalier_runtime.training.memory import memory_named, ran_out_of_memory
from espalier_runtime.training.model import AdaptedModel


def losses(tokens: int | None, warned: Callable[[str], None] = print, max_tokens: int = 4096) -> list[float]:
    """The losses of a fit on a machine whose memory holds a forward of so many tokens, and no more."""
    given = problem(epochs=1, maxTokens=max_tokens, gradientClip=1e9)
    model = given.model()
    within = model.losses

    def limited(batch: Batch, gates: torch.Tensor | None) -> torch.Tensor:
        found = within(batch, gates)
        if tokens is not None and batch.inputs.input_ids.numel() > tokens:
            # Half of the backward is done when memory runs out.
            found[: len(found) // 2].sum().backward()
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return found

    model.losses = limited  # type: ignore[method-assign]
    return train(
        model,
        given.corpus,
        FixedGates(None),
        given.training,
        seed=0,
        epochs=1,
        report=lambda step, steps, loss: None,
        warn=warned,
    ).losses


def test_where_memory_runs_out_the_parts_are_halved_and_the_batch_stays_whole() -> None:
    warnings: list[str] = []
    assert losses(30, warnings.append) == pytest.approx(losses(None, max_tokens=30), abs=1e-6)
    assert 1 <= len(warnings) <= 2
    assert "memory ran out" in warnings[0]


def test_a_single_row_that_is_too_much_ends_the_trial() -> None:
    with pytest.raises(TrialError, match=r"memory ran out at a single row of \d tokens: CUDA out of memory"):
        losses(3, lambda text: None)


def test_memory_that_runs_out_elsewhere_says_where_and_what_mends_it() -> None:
    with (
        pytest.raises(TrialError, match="^memory ran out in a step: CUDA out of memory") as caught,
        memory_named("a step"),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory")
    assert "training.maxTokens" in str(caught.value.mend)
    with pytest.raises(RuntimeError, match="shapes"), memory_named("a step"):
        raise RuntimeError("shapes cannot be multiplied")


def test_other_errors_are_not_mistaken_for_it() -> None:
    assert ran_out_of_memory(MemoryError())
    assert ran_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"))
    assert not ran_out_of_memory(RuntimeError("shapes cannot be multiplied"))


def test_an_evaluation_that_does_not_fit_goes_on_in_smaller_parts() -> None:
    given = problem(tasks=1)
    model = given.model()
    wanted = predict(model, given.corpus, None, "accuracy", 4096).outputs
    within, warnings = model.alone, list[str]()

    def alone(task: int, gates: torch.Tensor | None) -> tuple[AdaptedModel, torch.Tensor | None]:
        one, own = within(task, gates)
        outputs = one.outputs

        def limited(batch: Batch, gates: torch.Tensor | None) -> torch.Tensor:
            if batch.inputs.input_ids.numel() > 40:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            return outputs(batch, gates)

        one.outputs = limited  # type: ignore[method-assign]
        return one, own

    model.alone = alone  # type: ignore[method-assign]
    found = predict(model, given.corpus, None, "accuracy", 4096, warnings.append).outputs
    assert found == pytest.approx(wanted, abs=1e-5)
    assert 1 <= len(warnings) <= 4
    assert "memory ran out" in warnings[0]
