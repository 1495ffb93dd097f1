"""Norm tuning:  h' = (1 + u) . h + b  after a norm; u = b = 0 at init.

A norm's weight w and bias c become w . (1 + u) and c . (1 + u) + b, which reaches every weight and bias wherever w has
no zero.

Source: the norms that Ben Zaken et al., arXiv 2106.10199, and adapters since Houlsby et al., arXiv 1902.00751, train
along. The parametrisation is ours, so that LayerNorm and RMSNorm are one case.
"""

from __future__ import annotations

from espalier_runtime.adapters.vectors import VectorKind
from espalier_runtime.backbone.sites import NORM_SLOTS

NORM_TUNING = VectorKind(
    name="normTuning",
    source="arXiv 2106.10199, norms",
    equation="(1 + u) . h + b",
    slots=NORM_SLOTS,
    mergeable=True,
    scales=True,
    shifts=True,
)
