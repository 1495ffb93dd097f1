"""From the budget that an experiment states to the limits over its space."""

from __future__ import annotations

import math
from dataclasses import dataclass

from espalier_runtime import contract
from espalier_runtime.errors import InputError
from espalier_runtime.structure.costs import Measure, Parameters
from espalier_runtime.structure.limits import Limit, Limits
from espalier_runtime.structure.space import Space


@dataclass(frozen=True)
class Costs:
    """What structures cost on a device: `step` in milliseconds, `memory` in bytes.

    `full_step` is the step of the full structure, every candidate of the space attached, as `step` prices it.
    """

    step: Measure
    memory: Measure
    full_step: float


def limits_of(spec: contract.Budget, space: Space, backbone_parameters: int, costs: Costs | None) -> Limits:
    """The limits that `spec` states; `costs` are needed for limits in step time or memory.

    Raises InputError where no candidate keeps them all, with the smallest budget that one does, and for parameters
    above the whole space.
    """
    limits = []
    if spec.parameters is not None:
        most = int(spec.parameters * backbone_parameters) if spec.parameters < 1 else int(spec.parameters)
        limits.append(Limit("parameters", Parameters(), most))
    if spec.step_time is not None:
        assert costs is not None
        limits.append(Limit("stepTime", costs.step, spec.step_time * costs.full_step))
    if spec.memory is not None:
        assert costs is not None
        limits.append(Limit("memory", costs.memory, spec.memory))
    stated = Limits(limits, space.candidates)
    _check_below_whole(stated, spec, space)
    _check_met(stated, spec)
    return stated


def reachable(limits: Limits) -> list[int]:
    """The candidates that keep the limits alone: no structure within them holds another."""
    return [index for index in range(len(limits.candidates)) if limits.missed_by([index]) is None]


def _check_below_whole(limits: Limits, spec: contract.Budget, space: Space) -> None:
    if limits.parameters is not None and limits.parameters > space.parameters:
        raise InputError(
            f"budget.parameters: {_said(limits.limits[0], limits.parameters, spec)} is above the whole space of"
            f" {space.parameters:,}: nothing would be chosen",
            mend=f"Allow at most {space.parameters:,} parameters, or offer larger sizes in space.kinds.",
        )


def _check_met(limits: Limits, spec: contract.Budget) -> None:
    def excess(index: int) -> float:
        costs = zip(limits.limits, limits.prices, strict=True)
        # A share of the parameters may come to none.
        return max(price.of([index]) / limit.most if limit.most > 0 else math.inf for limit, price in costs)

    nearest = min(range(len(limits.candidates)), key=lambda i: (excess(i), limits.candidates[i].id))
    missed = limits.missed_by([nearest])
    if missed is not None:
        limit, cost = missed
        least = _amount(limit, cost, spec)
        raise InputError(
            f"budget.{limit.field}: {_said(limit, limit.most, spec)} is below the cheapest candidate,"
            f" {limits.candidates[nearest].id} with {least}",
            mend=f"Allow at least {least}, or offer smaller sizes or higher layers in space.",
        )


def _said(limit: Limit, amount: float, spec: contract.Budget) -> str:
    if limit.field == "parameters" and spec.parameters is not None and spec.parameters < 1:
        return f"{spec.parameters * 100:g}% of the backbone, {limit.said(amount)}"
    if limit.field == "stepTime" and spec.step_time is not None:
        return f"{spec.step_time * 100:g}% of a full step, {limit.said(amount)}"
    return _amount(limit, amount, spec)


def _amount(limit: Limit, amount: float, spec: contract.Budget) -> str:
    """The amount as the budget is stated, rounded up to a tenth, so that what is advised suffices."""
    match limit.field:
        case "parameters":
            return limit.said(amount)
        case "stepTime":
            assert spec.step_time is not None
            full = limit.most / spec.step_time
            return f"{_up(100 * amount / full):g}% of a full step ({amount:.1f} of {full:.1f} ms)"
        case "memory":
            return f"{_up(amount / 2**20):g} MiB"


def _up(value: float) -> float:
    return -(-value * 10 // 1) / 10
