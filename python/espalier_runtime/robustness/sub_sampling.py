"""Sub-sampling: fewer training rows."""

from __future__ import annotations

from collections.abc import Sequence

from espalier_runtime.tasks.batching import carve
from espalier_runtime.tasks.task import Example


def sub_sample(rows: Sequence[Example], classes: int, ratio: float, seed: int) -> list[Example]:
    """The rows less a share `ratio` of them, every class in proportion; a class keeps at least one row."""
    kept, _ = carve(len(rows), ratio, seed, [int(row.label) for row in rows] if classes else None)
    return [rows[place] for place in kept]
