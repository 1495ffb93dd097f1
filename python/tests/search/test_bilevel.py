from __future__ import annotations

from dataclasses import replace

import torch
from problems import budgeted, paper, problem

from espalier_runtime.search.bilevel import BilevelGates
from espalier_runtime.search.budgeted import search_budgeted
from espalier_runtime.search.paper import search_paper
from espalier_runtime.search.problem import SearchProblem
from espalier_runtime.structure.structure import Structure
from espalier_runtime.tasks.corpus import Batch
from espalier_runtime.training.model import AdaptedModel


class Recorded:
    """Gates that are always half open, and remember the gradients they were given."""

    def __init__(self, candidates: int) -> None:
        self.gradients: list[torch.Tensor] = []
        self._values = torch.full((2, candidates), 0.5)

    def open(self, step: int, steps: int) -> torch.Tensor:
        return self._values

    def learn(self, gradient: torch.Tensor) -> None:
        self.gradients.append(gradient)


def once(given: SearchProblem, held_out: list[int]) -> tuple[AdaptedModel, Recorded, list[float]]:
    model, inner = given.model(), Recorded(len(given.space.candidates))
    gates = BilevelGates(inner, model, given.corpus, held_out, given.training, given.seed, print)
    done = given.train(model, gates, None, held_out)
    return model, inner, done.losses


def test_the_weights_learn_what_they_would_without_the_held_out_rows() -> None:
    given = problem()
    held_out = given.held_out(0.25)
    _, inner, losses = once(given, held_out)
    plain = problem()
    alone = plain.train(plain.model(), Recorded(len(plain.space.candidates)), None, held_out)
    assert losses == alone.losses
    assert len(inner.gradients) == len(losses)


def test_the_gates_get_the_gradient_of_held_out_rows_at_the_stepped_weights() -> None:
    given = problem(maxSteps=1, batchSize=12)
    held_out = given.held_out(0.25)
    model, inner, _ = once(given, held_out)
    z = torch.full((2, len(given.space.candidates)), 0.5, requires_grad=True)
    with model.adapters.attached(given.backbone.model):
        model.losses(given.corpus.batch(held_out), z).mean().backward()
    assert z.grad is not None
    torch.testing.assert_close(inner.gradients[0], z.grad, atol=1e-6, rtol=1e-4)


def test_rows_are_held_out_of_every_task_and_class_in_proportion() -> None:
    given = problem()
    held_out = given.held_out(0.25)
    assert [given.corpus.task_ids[row] for row in held_out] == [0] * 6 + [1] * 6
    for task in (0, 1):
        share = [given.corpus.labels[row] for row in given.corpus.of_task(task)]
        taken = [given.corpus.labels[row] for row in held_out if given.corpus.task_ids[row] == task]
        assert abs(sum(taken) - 6 * sum(share) / len(share)) <= 1


def test_a_bilevel_search_keeps_the_budget_and_finds_the_same_again() -> None:
    def found(method: str) -> Structure:
        given = problem(budget=1000)
        if method == "budgeted":
            return search_budgeted(given, budgeted(level="bilevel"), "m").structure
        return search_paper(given, paper(0.1).model_copy(update={"level": "bilevel"}), "m").structure

    for method in ("budgeted", "paper"):
        first = found(method)
        assert first == found(method)
        assert 936 < first.union <= 1000


def test_where_memory_runs_out_for_the_held_out_rows_their_parts_are_halved() -> None:
    def gradients(tokens: int | None, max_tokens: int) -> tuple[list[torch.Tensor], list[str]]:
        given = problem(maxSteps=2, batchSize=8, maxTokens=max_tokens)
        held_out = given.held_out(0.25)
        model, inner = given.model(), Recorded(len(given.space.candidates))
        within = model.losses

        def limited(batch: Batch, gates: torch.Tensor | None) -> torch.Tensor:
            if tokens is not None and batch.inputs.input_ids.numel() > tokens:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            return within(batch, gates)

        model.losses = limited  # type: ignore[method-assign]
        warnings: list[str] = []
        gates = BilevelGates(inner, model, given.corpus, held_out, given.training, given.seed, warnings.append)
        given = replace(given, warn=warnings.append)
        given.train(model, gates, None, held_out)
        return inner.gradients, warnings

    (wanted, none), (found, warnings) = gradients(None, 30), gradients(30, 4096)
    assert none == []
    assert all("memory ran out" in warning for warning in warnings)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)
