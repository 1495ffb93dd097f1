"""What a fitted structure's step was predicted to take, the memory it is measured to hold, and limits it passes."""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from espalier_runtime import contract
from espalier_runtime.search.problem import Found
from espalier_runtime.training.memory import ran_out_of_memory
from espalier_runtime.trials.fit import Fitted
from espalier_runtime.trials.over_budget import over_budget
from espalier_runtime.trials.prepare import Prepared
from espalier_runtime.trials.step_memory import peak_bytes


@dataclass(frozen=True)
class StepCosts:
    """What the structure's step was predicted to take, and its memory; None where nothing is adapted.

    `over_budget` holds the limits that a method without a structure does not keep.
    """

    predicted_ms: float | None = None
    memory: contract.Predicted | None = None
    over_budget: Sequence[contract.OverBudget] = ()


def step_costs(prepared: Prepared, found: Found | None, fitted: Fitted, full_ms: float) -> StepCosts:
    """The costs of a fitted structure; `full_ms` is what a step of the full structure takes in this run."""
    if found is None:
        return StepCosts(over_budget=over_budget(prepared, fitted))
    if not found.structure.candidates:
        return StepCosts()
    chosen = found.structure.candidates
    everything = range(len(chosen))
    step = prepared.costs.step.price(chosen).of(everything) / prepared.costs.full_step
    held = _held(prepared, fitted)
    memory = prepared.costs.memory.price(chosen).of(everything)
    # What was measured layer by layer was not compiled.
    predicted = None if fitted.model.execution.compiled else full_ms * step
    if held is None:
        return StepCosts(predicted)
    return StepCosts(predicted, contract.Predicted(predicted=memory / 2**20, measured=held / 2**20))


def _held(prepared: Prepared, fitted: Fitted) -> float | None:
    """None where the largest part does not fit the memory at once, of which the fit made smaller ones."""
    try:
        return peak_bytes(prepared.work, fitted.model, prepared.work.largest_part)
    except (MemoryError, RuntimeError) as error:
        if ran_out_of_memory(error):
            return None
        raise


def forget_peak(device: torch.device) -> None:
    """From now on `peak_memory_mib` is of what comes, on CUDA."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory_mib(device: torch.device) -> float:
    """On CUDA the most the device held since `forget_peak`; on the CPU the process's largest resident size ever."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device)) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
