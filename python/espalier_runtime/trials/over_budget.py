"""What a method without a structure takes of the budget, which limits structures alone."""

from __future__ import annotations

import dataclasses

from espalier_runtime import contract
from espalier_runtime.structure.limits import Field
from espalier_runtime.trials.fit import Fitted
from espalier_runtime.trials.prepare import Prepared
from espalier_runtime.trials.step_memory import peak_bytes
from espalier_runtime.trials.steps import share_of_full_step


def over_budget(prepared: Prepared, fitted: Fitted) -> list[contract.OverBudget]:
    """The limits of the plan that the fitted model does not keep, each measured in the unit it is stated in."""
    found = []
    for limit in prepared.limits.limits:
        measured = _measured(limit.field, prepared, fitted)
        share = prepared.plan.budget.step_time
        allowed = share if limit.field == "stepTime" and share is not None else limit.most
        if measured > allowed:
            found.append(contract.OverBudget(limit=limit.field, allowed=allowed, measured=measured))
    return found


def _measured(field: Field, prepared: Prepared, fitted: Fitted) -> float:
    model, gates, work = fitted.model, fitted.target.rows, prepared.work
    match field:
        case "parameters":
            return float(fitted.target.union)
        case "stepTime":
            return share_of_full_step(work, model, gates)
        case "memory":
            own = dataclasses.replace(work, corpus=model.readable(work.corpus))
            return peak_bytes(own, model, own.largest_part, gates)
