"""Kernel scale:  q_i' = (1 + s) . q_i,  k_i' = (1 + s) . k_i,  one s of a head's width for all heads i; s = 0 at init.

Source: Chen et al., arXiv 2205.03720: a bandwidth of the attention kernel for each of its dimensions.
"""

from __future__ import annotations

from espalier_runtime.adapters.vectors import VectorKind

KERNEL_SCALE = VectorKind(
    name="kernelScale",
    source="arXiv 2205.03720",
    equation="(1 + s) . q_i, (1 + s) . k_i, one s for all heads i",
    slots=("attention.query", "attention.key"),
    mergeable=True,
    scales=True,
    shifts=False,
    tied=True,
)
