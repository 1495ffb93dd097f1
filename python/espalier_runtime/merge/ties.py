"""TIES (Yadav et al., arXiv 2306.01708) at one linear, over updates tau_t of T tasks.

    trim    the `density` largest entries of each tau_t stay, the others are 0
    elect   at each entry the sign of the sum over tasks
    merge   lambda times the mean of the entries that have this sign

Trimming is linear by linear, as PEFT's `ties` does it. No low rank is left: the nearest update of the rank that the
tasks' updates have together stands for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from espalier_runtime.merge.update import Update


def ties(updates: Sequence[Update], weight: float, density: float) -> Update:
    """The merged update, of full rank; `density` is in (0, 1]."""
    from peft.utils import merge_utils

    dense = [update.dense() for update in updates]
    if density < 1:
        dense = [merge_utils.magnitude_based_pruning(tau, density) for tau in dense]
    stacked = torch.stack(dense)
    merged = merge_utils.disjoint_merge(stacked, merge_utils.calculate_majority_sign_mask(stacked))
    # The thinner side carries the identity, so that the factors hold no more than the matrix itself.
    outputs, inputs = merged.shape
    identity = torch.eye(min(outputs, inputs), dtype=merged.dtype, device=merged.device)
    return Update(weight * merged, identity) if inputs <= outputs else Update(weight * identity, merged)
