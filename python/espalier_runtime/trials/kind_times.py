"""What a training step takes with a kind at all of its sites, against one with LoRA at its own.

All kinds take turns on one batch of random tokens, so that a busy moment touches all alike; a kind's number is the
median of its time over LoRA's, turn by turn.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from espalier_runtime import contract
from espalier_runtime.adapters.kinds import KindSpec, kinds_of
from espalier_runtime.backbone.heads import Head
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import Candidate
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.tasks.tokenise import TokenIds
from espalier_runtime.training.loop import backward
from espalier_runtime.training.model import AdaptedModel
from espalier_runtime.training.optimiser import FlatAdamW

#: The batch's rows, and the tokens of each: of two lengths, so that packed rows are several stacks.
ROWS = 16
LENGTHS = (24, 40)
TURNS = 5


def kind_times(
    backbone: Backbone, specs: Sequence[KindSpec], turns: int = TURNS, check: Callable[[], None] = lambda: None
) -> dict[str, float]:
    """By kind, the time of a step with its largest size at every site over that of LoRA so; no place, no entry.

    `check` is called between steps, and may raise to cancel.
    """
    corpus = random_rows(backbone)
    steps = {"": timed_step(backbone, corpus, [contract.LoraKind(kind="lora")])}
    steps.update({spec.kind: timed_step(backbone, corpus, [spec]) for spec in specs})
    placed = {name: step for name, step in steps.items() if step is not None}
    taken: dict[str, list[float]] = {name: [] for name in placed}
    for turn in range(turns + 1):
        for name, step in placed.items():
            check()
            seconds = step()
            if turn > 0:  # the first pays for what is set up once
                taken[name].append(seconds)
    lora = taken.pop("")
    return {
        name: statistics.median(own / other for own, other in zip(seconds, lora, strict=True))
        for name, seconds in taken.items()
    }


def timed_step(backbone: Backbone, corpus: Corpus, specs: Sequence[KindSpec]) -> Callable[[], float] | None:
    """Seconds of a step with the kinds' largest sizes at every site of each; None where they have no place."""
    kinds = kinds_of(specs)
    candidates = [
        Candidate.of(kind, site, 0, kind.sizes[-1], 0)
        for kind in kinds.values()
        for site in backbone.sites
        if kind.applies([site.slot], site)
    ]
    if not candidates:
        return None
    pool = AdapterPool(candidates, kinds, 0)
    head = Head(backbone.hidden, 2)
    model = AdaptedModel(backbone, pool, [("random", head)], "mean").to(backbone.device)
    optimiser = FlatAdamW(model.trained(), weight_decay=0.01, clip=1.0)
    readable, rows = model.readable(corpus), list(range(len(corpus)))

    def step() -> float:
        model.train()
        with pool.attached(backbone.model):
            started = time.perf_counter()
            backward(model, readable, None, [rows])
            optimiser.step(1e-3)
            optimiser.clear()
            backbone.wait()
            return time.perf_counter() - started

    return step


def random_rows(backbone: Backbone) -> Corpus:
    """A batch of random tokens with two random labels."""
    generator = torch.Generator().manual_seed(0)
    config: Any = backbone.model.config
    words = min(1000, config.get_text_config().vocab_size)
    rows = [torch.randint(words, (LENGTHS[row % len(LENGTHS)],), generator=generator).tolist() for row in range(ROWS)]
    made = [(0, TokenIds(ids, None, False), float(row % 2)) for row, ids in enumerate(rows)]
    return Corpus(["random"], made, 0, backbone.device, packed=backbone.packs)
