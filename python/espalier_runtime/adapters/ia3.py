"""(IA)^3:  h' = (1 + l) . h  at key and value, and  x' = (1 + l) . x  into mlp.down; l = 0 at init.

Source: Liu et al., arXiv 2205.05638, whose vectors start at one.
"""

from __future__ import annotations

from espalier_runtime.adapters.vectors import VectorKind

IA3 = VectorKind(
    name="ia3",
    source="arXiv 2205.05638",
    equation="(1 + l) . h at key, value; W ((1 + l) . x) at mlp.down",
    slots=("attention.key", "attention.value", "mlp.down"),
    mergeable=True,
    peft="ia3",
    scales=True,
    shifts=False,
    at_inputs=("mlp.down",),
)
