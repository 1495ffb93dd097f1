"""From the contract's kinds to the protocol: one line a kind."""

from __future__ import annotations

from collections.abc import Iterable

from espalier_runtime import contract
from espalier_runtime.adapters.base import AdapterKind
from espalier_runtime.adapters.bitfit import BITFIT
from espalier_runtime.adapters.bottleneck import bottleneck
from espalier_runtime.adapters.dual_lora import dual_lora
from espalier_runtime.adapters.generated import generated
from espalier_runtime.adapters.grasp import grasp
from espalier_runtime.adapters.ia3 import IA3
from espalier_runtime.adapters.kernel_mix import kernel_mix
from espalier_runtime.adapters.kernel_scale import KERNEL_SCALE
from espalier_runtime.adapters.lora import lora
from espalier_runtime.adapters.multi_head_parallel import multi_head_parallel
from espalier_runtime.adapters.norm_tuning import NORM_TUNING
from espalier_runtime.adapters.parallel import parallel
from espalier_runtime.adapters.prefix import prefix
from espalier_runtime.adapters.scaled_parallel import scaled_parallel
from espalier_runtime.adapters.stoch_grasp import stoch_grasp
from espalier_runtime.adapters.tarp import tarp
from espalier_runtime.adapters.task_prompt import task_prompt
from espalier_runtime.adapters.token_gate import token_gate
from espalier_runtime.adapters.u_tuning import u_tuning
from espalier_runtime.adapters.unfolded import unfolded

KindSpec = (
    contract.LoraKind
    | contract.BottleneckKind
    | contract.ParallelKind
    | contract.ScaledParallelKind
    | contract.MultiHeadParallelKind
    | contract.UTuningKind
    | contract.UnfoldedKind
    | contract.BitfitKind
    | contract.Ia3Kind
    | contract.NormTuningKind
    | contract.KernelMixKind
    | contract.KernelScaleKind
    | contract.TarpKind
    | contract.GraspKind
    | contract.StochGraspKind
    | contract.DualLoraKind
    | contract.GeneratedKind
    | contract.TokenGateKind
    | contract.PrefixKind
    | contract.TaskPromptKind
)


def kinds_of(specs: Iterable[KindSpec], tasks: int = 1) -> dict[str, AdapterKind]:
    """The kinds by name, in the order of the space; those with parts of a task's own for so many tasks."""
    return {spec.kind: kind_of(spec, tasks) for spec in specs}


def kind_of(spec: KindSpec, tasks: int = 1) -> AdapterKind:
    """The kind that `spec` describes, for a number of tasks."""
    match spec:
        case contract.LoraKind():
            return lora(spec)
        case contract.BottleneckKind():
            return bottleneck(spec)
        case contract.ParallelKind():
            return parallel(spec)
        case contract.ScaledParallelKind():
            return scaled_parallel(spec)
        case contract.MultiHeadParallelKind():
            return multi_head_parallel(spec)
        case contract.UTuningKind():
            return u_tuning(spec)
        case contract.UnfoldedKind():
            return unfolded(spec)
        case contract.BitfitKind():
            return BITFIT
        case contract.Ia3Kind():
            return IA3
        case contract.NormTuningKind():
            return NORM_TUNING
        case contract.KernelMixKind():
            return kernel_mix(spec)
        case contract.KernelScaleKind():
            return KERNEL_SCALE
        case contract.TarpKind():
            return tarp(spec)
        case contract.GraspKind():
            return grasp(spec)
        case contract.StochGraspKind():
            return stoch_grasp(spec)
        case contract.DualLoraKind():
            return dual_lora(spec, tasks)
        case contract.GeneratedKind():
            return generated(spec, tasks)
        case contract.TokenGateKind():
            return token_gate(spec)
        case contract.PrefixKind():
            return prefix(spec)
        case contract.TaskPromptKind():
            return task_prompt(spec, tasks)
