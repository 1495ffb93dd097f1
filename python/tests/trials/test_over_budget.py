"""Methods that no budget limits say what they take of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from problems import corpus, heads, problem

from espalier_runtime import contract
from espalier_runtime.baselines.methods import Baseline, build
from espalier_runtime.structure.costs import Parameters
from espalier_runtime.structure.limits import Limit, Limits
from espalier_runtime.trials.calibrate import Workload
from espalier_runtime.trials.over_budget import over_budget

FULL = contract.FullMethod(method="full", name="full")
LORA = contract.PeftLoraMethod(method="peftLora", name="lora", rank=1, slots=["attention.query"])
POLYTROPON = contract.PolytroponMethod(method="polytropon", name="polytropon", rank=1, skills=2, slots=["mlp.up"])


def prepared(budget: contract.Budget, *limits: Limit) -> Any:
    """What over_budget looks at, on a tiny model whose space is a LoRA of rank 1 in the last layer."""
    spec = contract.Space(slots=["mlp.up"], layers=[2], kinds=[contract.LoraKind(kind="lora", ranks=[1], scale=2.0)])
    given = problem(space=spec, limits=Limits([Limit("parameters", Parameters(), 100)], ()))
    return SimpleNamespace(
        problem=given,
        plan=SimpleNamespace(budget=budget),
        limits=Limits(limits, given.space.candidates),
        work=Workload(given.backbone, given.space, corpus(rows=60), given.training, heads(2)),
    )


def over(given: Any, method: Baseline) -> dict[str, tuple[float, float]]:
    target = build(given.problem, method)
    model = target.model(given.problem.backbone, target.adapters, heads(2), "mean")
    before = [weight.detach().clone() for weight in model.trained()]
    found = over_budget(given, SimpleNamespace(model=model, target=target))  # type: ignore[arg-type]
    assert all(torch.equal(was, now) for was, now in zip(before, model.trained(), strict=True))
    return {entry.limit: (entry.allowed, entry.measured) for entry in found}


def test_parameters_are_those_of_all_tasks() -> None:
    given = prepared(contract.Budget(parameters=500), Limit("parameters", Parameters(), 500))
    assert over(given, FULL) == {"parameters": (500, given.problem.backbone.parameters)}
    assert over(given, LORA) == {}


@pytest.mark.parametrize("method", [FULL, POLYTROPON], ids=lambda method: method.name)
def test_a_step_that_goes_down_to_the_first_layer_takes_longer_than_the_space_allows(method: Baseline) -> None:
    given = prepared(contract.Budget(step_time=1.0), Limit("stepTime", Parameters(), 12345))
    allowed, measured = over(given, method)["stepTime"]
    assert allowed == 1.0
    assert 1.0 < measured < 50


def test_memory_is_that_of_the_largest_part() -> None:
    given = prepared(contract.Budget(memory=2**18), Limit("memory", Parameters(), 2**18))
    allowed, measured = over(given, FULL)["memory"]
    # Weights, copies, gradients, two moments: four bytes each.
    assert measured > 5 * 4 * given.problem.backbone.parameters > allowed
    roomy = prepared(contract.Budget(memory=2**30), Limit("memory", Parameters(), 2**30))
    assert over(roomy, FULL) == {}
