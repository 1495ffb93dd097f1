"""Label flips: training rows whose label is wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from espalier_runtime.robustness.chance import random_of
from espalier_runtime.tasks.task import Example


def flip_labels(rows: Sequence[Example], classes: int, ratio: float, seed: int) -> list[Example]:
    """Each row's label is wrong with probability `ratio`: any other class, or with `classes` 0 any other row's value.

    Of a multiple choice it is any other candidate, and of a generation any other row's completion.

    Rows that are wrong at a smaller ratio are wrong, and in the same way, at a larger one.
    """
    random = random_of(seed, "labels")
    hits = random.random(len(rows)) < ratio
    shifts = random.integers(1, max(2, classes), len(rows))
    others = random.integers(0, len(rows), len(rows))
    return [
        _wrong(row, classes, int(shifts[place]), rows[others[place]], int(others[place])) if hits[place] else row
        for place, row in enumerate(rows)
    ]


def _wrong(row: Example, classes: int, shift: int, other: Example, chance: int) -> Example:
    if row.completion is not None:
        return dataclasses.replace(row, completion=other.completion)
    if row.choices:
        count = len(row.choices)
        return dataclasses.replace(row, label=(int(row.label) + 1 + chance % (count - 1)) % count)
    return dataclasses.replace(row, label=(int(row.label) + shift) % classes if classes else other.label)
