"""Schedules over a search's steps."""

from __future__ import annotations


def budget_at(step: int, steps: int, start: float, end: float, reached: float, warmup: float = 0.0) -> float:
    """Cubic decay:  end + (start - end) (1 - t)^3,  t running from 0 to 1 over the given shares of the steps.

    `start` holds for the share `warmup`; `end` holds from the share `reached` on. After AdaLoRA's schedule.
    """
    if start <= end:
        return end
    share = step / max(1, steps)
    if share >= reached:
        return end
    progress = 0.0 if reached <= warmup else max(0.0, (share - warmup) / (reached - warmup))
    return end + (start - end) * (1 - progress) ** 3


def geometric(step: int, steps: int, start: float, end: float) -> float:
    """start * (end / start)^t, t running from 0 at the first step to 1 at the last."""
    return float(start * (end / start) ** (step / max(1, steps - 1)))
