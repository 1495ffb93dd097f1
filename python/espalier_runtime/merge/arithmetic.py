"""Task arithmetic (Ilharco et al., arXiv 2212.04089) at one linear:  tau = lambda sum_t tau_t."""

from __future__ import annotations

from collections.abc import Sequence

from espalier_runtime.merge.update import Update, times, total


def arithmetic(updates: Sequence[Update], weight: float) -> Update:
    """lambda sum_t tau_t, exactly; what PEFT's combination type "cat" computes."""
    return times(total(updates), weight)
