"""Cases that take turns in one process, so that a busy moment touches all alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping


def print_turns(cases: Mapping[str, Callable[[], float]], turns: int, against: str) -> None:
    """Prints the median milliseconds of each case, and its ratio to the case `against`, turn by turn, with quartiles.

    A case gives the seconds that it took.
    """
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(turns + 2):
        for name, case in cases.items():
            taken = case()
            if turn >= 2:  # the first pay for allocation
                seconds[name].append(taken)
    for name, own in seconds.items():
        ratios = [one / other for one, other in zip(own, seconds[against], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        ms = 1000 * statistics.median(own)
        print(f"{name:24} {ms:8.1f} ms   {middle:.2f} ({low:.2f} to {high:.2f}) of {against}")
