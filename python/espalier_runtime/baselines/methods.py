"""From the contract's baselines to what the fit trains: one case a method."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.adapters.kinds import kinds_of
from espalier_runtime.backbone.sites import Site
from espalier_runtime.baselines import peft_methods
from espalier_runtime.baselines.adalora import AdaLora, AdaLoraModel
from espalier_runtime.baselines.adapter_fusion import AdapterFusion, bottleneck_a_task, fit_bottlenecks
from espalier_runtime.baselines.own_weights import biases, everything
from espalier_runtime.baselines.target import Target, for_all
from espalier_runtime.search.problem import SearchProblem
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.training.loop import TrainReport

Baseline = (
    contract.FullMethod
    | contract.BitFitMethod
    | contract.PeftLoraMethod
    | contract.AdaLoraMethod
    | contract.PrefixMethod
    | contract.Ia3Method
    | contract.AdapterFusionMethod
    | contract.PolytroponMethod
)


def build(problem: SearchProblem, method: Baseline, *, prepared: bool = True) -> Target:
    """What `method` trains on the problem's backbone, at its initial weights.

    AdapterFusion first trains its bottlenecks, unless `prepared` is False because weights will be loaded.
    Raises InputError where the backbone's family does not offer what the method needs.
    """
    backbone, tasks, budget, seed = problem.backbone, problem.tasks, problem.budget, problem.seed
    identity = torch.eye(len(tasks), device=backbone.device)
    match method:
        case contract.FullMethod():
            return for_all(everything(backbone.model), tasks)
        case contract.BitFitMethod():
            return for_all(biases(backbone.model), tasks)
        case contract.PeftLoraMethod():
            sites = _sites(problem, method.slots)
            return for_all(peft_methods.lora(backbone, method, sites, budget, seed), tasks)
        case contract.Ia3Method():
            sites = [s for s in backbone.sites if s.slot in ("attention.key", "attention.value", "mlp.down")]
            return for_all(peft_methods.ia3(backbone, sites, seed), tasks)
        case contract.PrefixMethod():
            return for_all(peft_methods.prefix(backbone, method, budget, seed), tasks)
        case contract.AdaLoraMethod():
            ada = AdaLora(backbone, method, _sites(problem, method.slots), budget, seed)
            return dataclasses.replace(for_all(ada, tasks), model=AdaLoraModel)
        case contract.PolytroponMethod():
            sites = _sites(problem, method.slots)
            poly = peft_methods.polytropon(backbone, method, sites, len(tasks), budget, seed)
            logits = sum(weight.numel() for name, weight in poly.weights.items() if name.endswith("module_logits"))
            return _of_task(for_all(poly, tasks), identity, logits)
        case contract.AdapterFusionMethod():
            return _fusion(problem, method, identity, prepared)


def _fusion(problem: SearchProblem, method: contract.AdapterFusionMethod, identity: Tensor, prepared: bool) -> Target:
    spec = contract.BottleneckKind(kind="bottleneck", sizes=[method.size], activation="gelu", scale=1.0)
    kinds = kinds_of([spec])
    structure = bottleneck_a_task(
        problem.backbone.sites, kinds["bottleneck"], method.size, problem.tasks, method.method
    )
    pool = AdapterPool(structure.candidates, kinds, problem.seed).to(problem.backbone.device)
    done = fit_bottlenecks(problem, pool, structure) if prepared else TrainReport()
    fusion = AdapterFusion(pool, len(problem.tasks), method.attention, problem.seed)
    target = _of_task(for_all(fusion, problem.tasks), identity, sum(w.numel() for w in fusion.parameters()))
    return dataclasses.replace(
        target,
        parameters={task: count + structure.union for task, count in target.parameters.items()},
        union=target.union + structure.union,
        steps=len(done.losses),
        step_ms=done.step_ms if prepared else None,
    )


def _of_task(target: Target, identity: Tensor, own: int) -> Target:
    """The target with the tasks told apart; `own` of its parameters are split evenly among the tasks."""
    others = own - own // len(identity)
    return dataclasses.replace(
        target, rows=identity, parameters={task: count - others for task, count in target.parameters.items()}
    )


def _sites(problem: SearchProblem, slots: Sequence[str] | None) -> list[Site]:
    offered = [candidate.site for candidate in problem.space.candidates]
    return peft_methods.linear_sites(problem.backbone, slots, offered)
