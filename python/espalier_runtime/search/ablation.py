"""The check near the cut: what the fill took last and left out first, tried one at a time on rows held out of train.

With S the structure that the scores give, L(S) the searched model's mean loss on held-out rows with the gates of S open
and all others shut, and c_i the cost of candidate i in parameters, a candidate near the cut is worth

    w_i = (L(S - i) - L(S)) / c_i   for i in S          w_i = (L(S) - L(S + i)) / c_i   for i not in S

The candidates near the cut then exchange their scores, so that the worthiest of them has the highest; the rest keep
theirs. After the idea of ALoRA's ablation score (NAACL 2024).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from espalier_runtime.search.held_out import row_losses
from espalier_runtime.search.problem import SearchProblem
from espalier_runtime.structure.structure import KEEP_SHARE, Structure
from espalier_runtime.training.model import AdaptedModel

#: Held-out rows that the losses are taken over, at most.
ROWS = 512


def check_cut(
    problem: SearchProblem,
    model: AdaptedModel,
    scores: Tensor,
    shares: Tensor,
    structure: Structure,
    held_out: Sequence[int],
    count: int,
) -> Tensor:
    """`scores` (tasks, candidates), with those of the `count` candidates on each side of the cut dealt anew.

    An open candidate works at its path's share pi of `shares` (tasks, candidates), as it did in the search.
    """
    chosen = {candidate.id for candidate in structure.candidates}
    best = scores.amax(0)
    order = best.argsort(descending=True, stable=True).tolist()
    inside = [index for index in order if problem.space.candidates[index].id in chosen]
    outside = [index for index in order if problem.space.candidates[index].id not in chosen]
    near = [*inside[-count:], *outside[:count]]
    wants = (scores >= KEEP_SHARE * best) * shares
    opened = torch.zeros_like(wants)
    opened[:, inside] = wants[:, inside]
    rows = list(held_out)[:: -(-len(held_out) // ROWS)]
    whole = held_out_loss(problem, model, opened, rows)
    worth = {}
    for index in near:
        switched = opened.clone()
        is_inside = bool(opened[:, index].any())
        switched[:, index] = 0.0 if is_inside else wants[:, index]
        change = held_out_loss(problem, model, switched, rows) - whole
        worth[index] = (change if is_inside else -change) / problem.space.candidates[index].parameters
    dealt = scores.clone()
    highest_first = sorted((float(best[index]) for index in near), reverse=True)
    for index, score in zip(sorted(near, key=lambda index: -worth[index]), highest_first, strict=True):
        dealt[:, index] = scores[:, index] / best[index] * score if best[index] > 0 else score
    return dealt


def held_out_loss(problem: SearchProblem, model: AdaptedModel, opened: Tensor, rows: Sequence[int]) -> float:
    """The model's mean loss over `rows` with the gates `opened` (tasks, candidates), and those kept, open."""
    gates = opened if problem.kept is None else torch.cat([problem.kept.gates(), opened], dim=1)
    return float(row_losses(problem, model, gates, rows).mean())
