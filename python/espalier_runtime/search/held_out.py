"""Losses on rows that a search's weights have not seen."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from espalier_runtime.search.problem import SearchProblem
from espalier_runtime.training.model import AdaptedModel


@torch.no_grad()
def row_losses(problem: SearchProblem, model: AdaptedModel, gates: Tensor | None, rows: Sequence[int]) -> Tensor:
    """The loss of each of the corpus' `rows`, (rows,) in float64; `gates` (tasks, candidates), None for all open."""
    gates = None if gates is None else gates.to(problem.backbone.device)
    place = {row: index for index, row in enumerate(rows)}
    losses = torch.empty(len(rows), dtype=torch.float64)
    corpus = model.readable(problem.corpus)
    model.eval()
    with model.adapters.attached(problem.backbone.model):
        for part in corpus.parts(rows, problem.training.max_tokens):
            found = model.losses(corpus.batch(part), gates)
            losses[[place[row] for row in part]] = found.double().cpu()
    return losses
