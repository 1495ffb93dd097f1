"""Word swaps: training texts whose words have lost their order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from espalier_runtime.robustness.chance import random_of
from espalier_runtime.tasks.task import Example


def swap_words(rows: Sequence[Example], ratio: float, seed: int) -> list[Example]:
    """Each word, from the first on, changes places with the next one with probability `ratio`."""
    return [
        dataclasses.replace(
            row,
            text=_swapped(row.text, ratio, seed, place, "text"),
            text_pair=None if row.text_pair is None else _swapped(row.text_pair, ratio, seed, place, "pair"),
        )
        for place, row in enumerate(rows)
    ]


def _swapped(text: str, ratio: float, seed: int, row: int, which: str) -> str:
    words = text.split(" ")
    hits = random_of(seed, "words", which, row).random(max(0, len(words) - 1)) < ratio
    for place, hit in enumerate(hits):
        if hit:
            words[place], words[place + 1] = words[place + 1], words[place]
    return " ".join(words)
