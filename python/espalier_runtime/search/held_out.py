"""Losses on rows that a search's weights have not seen."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from espalier_runtime.search.problem import SearchProblem
from espalier_runtime.training.memory import MicroBatches
from espalier_runtime.training.model import AdaptedModel


@torch.no_grad()
def row_losses(problem: SearchProblem, model: AdaptedModel, gates: Tensor | None, rows: Sequence[int]) -> Tensor:
    """The loss of each of the corpus' `rows`, (rows,) in float64; `gates` (tasks, candidates), None for all open."""
    gates = None if gates is None else gates.to(problem.backbone.device)
    place = {row: index for index, row in enumerate(rows)}
    losses = torch.empty(len(rows), dtype=torch.float64)
    corpus = model.readable(problem.corpus)

    def fill(parts: list[list[int]]) -> None:
        for part in parts:
            found = model.losses(corpus.batch(part), gates)
            losses[[place[row] for row in part]] = found.double().cpu()

    model.eval()
    with model.adapters.attached(problem.backbone.model):
        MicroBatches(corpus, problem.training.max_tokens, problem.warn).run(rows, fill)
    return losses
