"""A finished trial's model, read back from its directory."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.baselines.methods import Baseline, build
from espalier_runtime.export import native
from espalier_runtime.records.directory import TrialDirectory
from espalier_runtime.training.checkpoint import TrialCheckpoint
from espalier_runtime.training.model import AdaptedModel
from espalier_runtime.trials.prepare import Prepared
from espalier_runtime.trials.start import TrialMethod, problem_of


@dataclass(frozen=True)
class FittedTrial:
    """`rows` (tasks, columns): the gates that each task opens, None for everything."""

    model: AdaptedModel
    rows: Tensor | None


def load_fitted(
    prepared: Prepared, trial: contract.Trial, method: TrialMethod, directory: TrialDirectory
) -> FittedTrial:
    """The model that `trial` ended with, as it was evaluated."""
    if not isinstance(method, Baseline):
        loaded = native.load(directory.adapter, prepared.backbone)
        gates = loaded.structure.gates().to(prepared.backbone.device)
        return FittedTrial(loaded.model, None if bool((gates == 1).all()) else gates)
    checkpoint = TrialCheckpoint(directory.checkpoint, "", prepared.plan.training.checkpoint_seconds, lambda _: None)
    problem = problem_of(prepared, trial, [], lambda *_: None, checkpoint)
    target = build(problem, method, prepared=False)
    heads = prepared.new_heads(probe=False)
    model = target.model(prepared.backbone, target.adapters, heads, prepared.plan.training.pooling)
    native.load_weights(directory.adapter, model)
    return FittedTrial(model.to(prepared.backbone.device).eval(), target.rows)
