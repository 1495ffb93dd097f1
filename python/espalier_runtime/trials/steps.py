"""The time of one step with every candidate of the space attached: what a structure's step time is a fraction of."""

from __future__ import annotations

from espalier_runtime.structure.gates import FixedGates
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.training.loop import train
from espalier_runtime.training.model import AdaptedModel
from espalier_runtime.trials.prepare import Prepared

#: Steps that are run; the loop leaves the first ones out of its median.
STEPS = 6


def full_step_ms(prepared: Prepared) -> float:
    """Median milliseconds of an optimiser step, over the batches that the first seed begins with."""
    pool = AdapterPool(prepared.whole.candidates, prepared.whole.kinds, 0)
    model = AdaptedModel(prepared.backbone, pool, prepared.new_heads(probe=False), prepared.plan.training.pooling)
    training = prepared.plan.training.model_copy(update={"max_steps": STEPS, "early_stopping": None})
    done = train(
        model.to(prepared.backbone.device),
        prepared.corpus,
        FixedGates(None),
        training,
        seed=prepared.plan.seeds[0],
        epochs=training.epochs,
        report=lambda step, steps, loss: None,  # noqa: ARG005
    )
    return done.step_ms
