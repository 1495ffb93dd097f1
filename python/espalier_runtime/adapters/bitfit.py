"""BitFit:  h' = h + b  at a linear, b = 0 at init: its bias, or one where it has none.

Source: Ben Zaken et al., arXiv 2106.10199. The biases of norms, which it trains too, belong to `normTuning`.
"""

from __future__ import annotations

from espalier_runtime.adapters.vectors import VectorKind
from espalier_runtime.backbone.sites import LINEAR_SLOTS

BITFIT = VectorKind(
    name="bitfit",
    source="arXiv 2106.10199",
    equation="h + b",
    slots=LINEAR_SLOTS,
    mergeable=True,
    scales=False,
    shifts=True,
)
