"""Label flips: training rows whose label is wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from espalier_runtime.robustness.chance import random_of
from espalier_runtime.tasks.task import Example


def flip_labels(rows: Sequence[Example], classes: int, ratio: float, seed: int) -> list[Example]:
    """Each row's label is wrong with probability `ratio`: any other class, or with `classes` 0 any other row's value.

    Rows that are wrong at a smaller ratio are wrong, and in the same way, at a larger one.
    """
    random = random_of(seed, "labels")
    hits = random.random(len(rows)) < ratio
    shifts = random.integers(1, max(2, classes), len(rows))
    others = random.integers(0, len(rows), len(rows))
    flipped = []
    for place, row in enumerate(rows):
        wrong = (int(row.label) + int(shifts[place])) % classes if classes else rows[others[place]].label
        flipped.append(dataclasses.replace(row, label=wrong) if hits[place] else row)
    return flipped
