"""LoRA:  h' = h + s B A x  at a linear h = W x + b;  A (r, inputs), B (outputs, r), B = 0 at init.

Source: Hu et al., arXiv 2106.09685. Cost: r * (inputs + outputs) parameters. `s` is PEFT's lora_alpha / r.
"""

from __future__ import annotations

from espalier_runtime import contract
from espalier_runtime.adapters.projections import ProjectionKind
from espalier_runtime.backbone.sites import LINEAR_SLOTS


def lora(spec: contract.LoraKind) -> ProjectionKind:
    """The kind that `spec` describes."""
    return ProjectionKind(
        name="lora",
        source="arXiv 2106.09685",
        equation="h + s B A x",
        reads="input",
        slots=LINEAR_SLOTS,
        sizes=tuple(spec.ranks),
        scale=spec.scale,
        activation="identity",
        mergeable=True,
        peft="lora",
    )
