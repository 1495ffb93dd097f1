"""Measures what a step costs on this device: a few training steps on a batch of median size, watched layer by layer.

Three kinds of steps take turns, so that a busy moment touches all alike: with nothing adapted and no gradient in the
layers; with nothing adapted and gradients through all layers; and with a random share of the space's sites adapted at
random sizes. The last give the adapters' own costs, by a regression that outliers do not move, with no cost below zero.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import least_squares

from espalier_runtime import contract
from espalier_runtime.backbone.heads import Head
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.structure.measured import AdapterCost, StepTimes
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import Candidate, Space
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.training.execution import execution_of
from espalier_runtime.training.loop import backward
from espalier_runtime.training.model import AdaptedModel
from espalier_runtime.training.optimiser import FlatAdamW
from espalier_runtime.trials.timeline import Label, Timeline, clock, medians, watched

#: How often all kinds of steps take turns, and the steps of a turn.
TURNS = 5
KINDS_OF_STEPS = ("frozen", "through", "adapted", "adapted", "through")

#: After so many seconds no further turn begins: a large backbone has many layers, each of which is a sample.
ENOUGH_SECONDS = 8.0


@dataclass(frozen=True)
class Workload:
    """What the steps of a fit run on: the backbone, the training rows and how they are batched, fresh heads."""

    backbone: Backbone
    space: Space
    corpus: Corpus
    training: contract.Training
    heads: Sequence[tuple[str, Head]]

    def model(self, candidates: Sequence[Candidate]) -> AdaptedModel:
        """A model with these candidates attached."""
        pool = AdapterPool(candidates, self.space.kinds, 0)
        execution = execution_of(self.training, self.backbone.device)
        model = AdaptedModel(self.backbone, pool, self.heads, self.training.pooling, execution)
        return model.to(self.backbone.device)

    def parts(self, batch: Sequence[int]) -> list[list[int]]:
        """The batch as it goes through the model."""
        return self.corpus.parts(batch, self.training.max_tokens)

    @cached_property
    def typical_batch(self) -> list[int]:
        """The training batch whose number of tokens is the median of an epoch."""
        return median_batch(self._batches, self.corpus)

    def typical_batches(self, count: int) -> list[list[int]]:
        """So many batches of an epoch, nearest the median in tokens; they come again where there are fewer."""
        middle = self.corpus.tokens(self.typical_batch)
        nearest = sorted(self._batches, key=lambda batch: abs(self.corpus.tokens(batch) - middle))
        return [nearest[index % len(nearest)] for index in range(count)]

    @cached_property
    def largest_part(self) -> list[int]:
        """Of all parts that go through the model at once in an epoch, the one with the most tokens."""
        parts = [part for batch in self._batches for part in self.parts(batch)]
        return max(parts, key=self.corpus.tokens)

    @cached_property
    def _batches(self) -> list[list[int]]:
        return self.corpus.batches(range(len(self.corpus)), self.training.batch_size, 0, 0)


def measure_times(work: Workload, batch: Sequence[int]) -> StepTimes:
    """The times of a step on the rows `batch`."""
    frozen, through, adapted = [], [], []
    optimising: list[tuple[int, float]] = []
    chance = random.Random(0)
    _timed(work, batch, work.space.candidates)
    started = time.perf_counter()
    for turn in range(TURNS):
        if turn > 0 and time.perf_counter() - started > ENOUGH_SECONDS:
            break
        # In an order of chance: what ran before a step decides what memory it finds.
        for kind in chance.sample(KINDS_OF_STEPS, len(KINDS_OF_STEPS)):
            some = _draw(work.space.candidates, chance) if kind == "adapted" else []
            spans, optimiser = _timed(work, batch, some, through=kind != "frozen")
            match kind:
                case "frozen":
                    frozen.append(spans)
                case "through":
                    through.append(spans)
                case _:
                    adapted.append((some, spans))
                    optimising.append((sum(c.parameters for c in some), optimiser))
    still, flowing = medians(frozen), medians(through)
    layers = range(work.backbone.layers)
    forward = tuple(flowing["forward", layer] for layer in layers)
    backward = tuple(flowing["backward", layer] for layer in layers)
    return StepTimes(
        rest=flowing["rest", 0],
        frozen=tuple(min(still["forward", layer], forward[layer]) for layer in layers),
        forward=forward,
        backward=backward,
        above=_above(work.backbone, flowing),
        adapters=_adapter_costs(adapted, [f + b for f, b in zip(forward, backward, strict=True)]),
        optimiser=_line(optimising),
    )


def _timed(
    work: Workload, batch: Sequence[int], candidates: Sequence[Candidate], *, through: bool = False
) -> tuple[dict[Label, float], float]:
    """One step's spans, and the optimiser's: each layer's "forward" and "backward", modules' "above", and the "rest".

    The batch's parts add up.
    """
    model = work.model(candidates)
    optimiser = FlatAdamW(model.trained(), weight_decay=0.01, clip=1.0)
    spans: dict[Label, float] = defaultdict(float)
    with model.adapters.attached(work.backbone.model):
        for part in work.parts(batch):
            line = Timeline(work.backbone.device)
            line.mark("start", 0)
            with watched(work.backbone, line.mark, through=through):
                backward(model, work.corpus, None, [part])
            line.mark("end", 0)
            for label, value in _spans(line.milliseconds(), work.backbone).items():
                spans[label] += value
    work.backbone.wait()
    started = clock()
    optimiser.step(1e-4)
    optimiser.clear()
    work.backbone.wait()
    took = 1000 * (clock() - started)
    optimiser.close()
    return dict(spans), took


def _spans(at: dict[Label, float], backbone: Backbone) -> dict[Label, float]:
    spans: dict[Label, float] = {}
    for layer in range(backbone.layers):
        spans["forward", layer] = at["leave", layer] - at["enter", layer]
        if ("back", layer) in at and ("back", layer - 1) in at:
            spans["backward", layer] = at["back", layer - 1] - at["back", layer]
    for site in backbone.sites:
        if ("site", site.module) in at and ("back", site.layer) in at:
            spans["above", site.module] = max(0.0, at["site", site.module] - at["back", site.layer])
    inside = sum(value for (kind, _), value in spans.items() if kind in ("forward", "backward"))
    spans["rest", 0] = at["end", 0] - at["start", 0] - inside
    return spans


def _above(backbone: Backbone, flowing: dict[Label, float]) -> dict[str, float]:
    """By site, the way of backward from the layer's output to the site's."""
    return {
        site.name: 0.0 if site.slot == "block" else flowing.get(("above", site.module), 0.0) for site in backbone.sites
    }


def _draw(candidates: Sequence[Candidate], chance: random.Random) -> list[Candidate]:
    """At each site and kind, with even odds nothing or the first few chunks."""
    groups: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        groups[candidate.site.name, candidate.kind].append(candidate)
    drawn = []
    for group in groups.values():
        if chance.random() < 0.5:
            drawn += group[: chance.choice([1, len(group)])]
    return drawn or [candidates[-1]]


def _adapter_costs(
    adapted: Sequence[tuple[Sequence[Candidate], dict[Label, float]]], plain: Sequence[float]
) -> dict[str, AdapterCost]:
    """By "slot/kind", (fixed, unit) of: a layer's time less its plain time = sum of fixed + unit * size over it."""
    names = sorted({f"{c.site.slot}/{c.kind}" for some, _ in adapted for c in some})
    place = {name: index for index, name in enumerate(names)}
    rows, extra = [], []
    for some, spans in adapted:
        for layer, without in enumerate(plain):
            row = np.zeros(2 * len(names))
            for candidate in some:
                if candidate.site.layer == layer:
                    index = place[f"{candidate.site.slot}/{candidate.kind}"]
                    row[2 * index] = 1.0
                    row[2 * index + 1] += candidate.size
            rows.append(row)
            extra.append(spans["forward", layer] + spans["backward", layer] - without)
    costs = _robust(np.array(rows), np.array(extra))
    return {name: AdapterCost(costs[2 * i], costs[2 * i + 1]) for name, i in place.items()}


def _line(points: Sequence[tuple[int, float]]) -> AdapterCost:
    """(fixed, unit) of a time over a number of parameters."""
    rows = np.array([[1.0, float(x)] for x, _ in points])
    fixed, unit = _robust(rows, np.array([y for _, y in points]))
    return AdapterCost(fixed, unit)


def _robust(rows: np.ndarray, values: np.ndarray) -> list[float]:
    """x >= 0 that brings `rows` x near `values`, with residuals beyond their usual size counted linearly."""
    scale = np.abs(rows).max(0).clip(1e-12)
    usual = float(np.median(np.abs(values - np.median(values)))) or 1.0
    start = np.full(rows.shape[1], max(float(np.median(values)), 1e-6) / rows.shape[1])
    found = least_squares(
        lambda x: (rows / scale) @ x - values, start, bounds=(0.0, np.inf), loss="soft_l1", f_scale=0.3 * usual
    )
    return [float(value) for value in found.x / scale]


def median_batch(batches: Sequence[Sequence[int]], corpus: Corpus) -> list[int]:
    """The batch whose number of tokens is the median of all."""
    ordered = sorted(batches, key=corpus.tokens)
    return list(ordered[len(ordered) // 2])
