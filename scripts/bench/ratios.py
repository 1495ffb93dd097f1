"""The cases that are timed, what is compared with what, and the targets."""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import ours, peers
from bench.work import Case, Work
from espalier_runtime.backbone.load import Backbone

EPOCHS = 5
DEPTHS = (6, 4, 2, 1)
#: Those that `search.frontier()` searches one after another.
FRONTIER = (1, 2, 3, 4)
#: Batches that each of its searches reads: saliency's default.
SEARCH_BATCHES = 16

#: Peers, as tables call them.
TRAINER = "HF Trainer, PEFT LoRA, all layers"
DEFAULT = "plain loop, PEFT LoRA, all layers"
STILL = "plain loop, PEFT LoRA, all layers, dropout off"
BUCKETS = "plain loop, PEFT LoRA, all layers, dropout off, buckets"
SAME_K2 = "plain loop, PEFT LoRA, top 2 layers, dropout off"
ADALORA = "plain loop, PEFT AdaLoRA, all layers"
FULL = "plain loop, full fine-tuning"

TRAINER_TARGETS = {"trec": 10.0, "sst2": 12.0, "mnli": 15.0, "boolq": 25.0}
SAME_TARGETS = {"trec": 5.0, "sst2": 6.0, "mnli": 7.0}

SEARCH = "search, linears"
WIDE_SEARCH = "search, linears and bottlenecks"

#: Layers of a decoder that are adapted, of all.
DECODER_DEPTH = 6

Seconds = Mapping[str, Sequence[float]]


@dataclass
class Row:
    """`ratio`: peer's time over ours, or ours over the peer's where `at_most`, so that the target is a limit."""

    case: str
    task: str
    peer: str
    ratio: float
    spread: tuple[float, float]
    target: float | None = None
    at_most: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the target is; None where there is none."""
        if self.target is None:
            return None
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target


def encoder_cases(work: Work, backbone: Backbone, folder: Path, cache: Path) -> dict[str, Case]:
    """Every case of an encoder by its name."""
    every = range(backbone.layers)
    learners = {
        TRAINER: peers.trainer(work, folder, layers=every),
        DEFAULT: peers.plain_loop(work, folder, layers=every, dropout=True),
        STILL: peers.plain_loop(work, folder, layers=every, dropout=False),
        BUCKETS: peers.plain_loop(work, folder, layers=every, dropout=False, buckets=True),
        SAME_K2: peers.plain_loop(work, folder, layers=every[-2:], dropout=False),
        ADALORA: peers.ada_lora(work, folder, layers=every),
        FULL: peers.full_fine_tuning(work, folder),
        SEARCH: ours.search(work, backbone, bottlenecks=False),
        WIDE_SEARCH: ours.search(work, backbone, bottlenecks=True),
    }
    cases: dict[str, Case] = {name: learner.epoch for name, learner in learners.items()}
    for depth in {*DEPTHS, *FRONTIER}:
        cases.update(_depth_cases(work, backbone, depth, cache))
    for depth in FRONTIER:
        cases[f"search of k={depth}"] = ours.score(work, backbone, every[-depth:], cache)
    return cases


def decoder_cases(work: Work, backbone: Backbone, folder: Path, cache: Path) -> dict[str, Case]:
    """The few of a decoder, whose steps are long."""
    return {
        DEFAULT: peers.plain_loop(work, folder, layers=range(backbone.layers), dropout=True).epoch,
        **_depth_cases(work, backbone, DECODER_DEPTH, cache),
    }


def _depth_cases(work: Work, backbone: Backbone, depth: int, cache: Path) -> dict[str, Case]:
    layers = range(backbone.layers - depth, backbone.layers)
    cases: dict[str, Case] = {f"k={depth}": ours.fit(work, backbone, layers, cache).epoch}
    if layers.start > 0:
        cases[f"filling for k={depth}"] = lambda: ours.fill(work, backbone, layers.start)
    return cases


def interleaved(cases: Mapping[str, Case], repetitions: int, said: str) -> Seconds:
    """Seconds of each case in each repetition, in an order of chance; a first one is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    chance = random.Random(0)
    for repetition in range(repetitions + 1):
        for name in chance.sample(list(cases), len(cases)):
            taken = cases[name]()
            if repetition > 0:
                seconds[name].append(taken)
        print(f"{said}: {repetition} of {repetitions} repetitions", file=sys.stderr)
    return seconds


def encoder_rows(work: Work, seconds: Seconds) -> list[Row]:
    """What an encoder's cases come to."""
    task = work.task
    rows = [row for depth in DEPTHS for row in _depth_rows(task, seconds, depth)]
    cold = _cold(seconds, 2)
    trainer, same = ([EPOCHS * value for value in seconds[peer]] for peer in (TRAINER, SAME_K2))
    rows.append(_row(f"k=2, {EPOCHS} epochs, cold cache", task, TRAINER, cold, trainer, TRAINER_TARGETS.get(task)))
    rows.append(_row(f"k=2, {EPOCHS} epochs, cold cache", task, SAME_K2, cold, same, SAME_TARGETS.get(task)))
    every = seconds[f"k={DEPTHS[0]}"]
    targets = {STILL: 2.5, BUCKETS: 1.4}
    for peer in (STILL, BUCKETS, ADALORA, FULL):
        rows.append(_row("all layers, an epoch", task, peer, every, seconds[peer], targets.get(peer)))
    mine, ordinary = _whole_frontier(work, seconds)
    said = f"frontier, k={FRONTIER[0]} to {FRONTIER[-1]}, {EPOCHS} epochs each, cold cache"
    rows.append(_row(said, task, DEFAULT, mine, ordinary, 2.0, at_most=True))
    rows.append(_row(f"{WIDE_SEARCH}, a step", task, STILL, seconds[WIDE_SEARCH], seconds[STILL], 0.95, at_most=True))
    rows.append(_row(f"{SEARCH}, a step", task, f"k={DEPTHS[0]}", seconds[SEARCH], every, at_most=True))
    return rows


def _whole_frontier(work: Work, seconds: Seconds) -> tuple[list[float], list[float]]:
    """Seconds of all depths' searches and fits on all of the task's rows, and of the default peer's one training.

    A search reads the same number of batches however many rows there are; filling and epochs grow with the rows.
    """
    batches = len(work.batches)
    epoch = work.training_rows / (batches * len(work.batches[0]))
    mine = [epoch * sum(cold) for cold in zip(*(_cold(seconds, depth) for depth in FRONTIER), strict=True)]
    searched = zip(*(seconds[f"search of k={depth}"] for depth in FRONTIER), strict=True)
    return (
        [fits + SEARCH_BATCHES / batches * sum(search) for fits, search in zip(mine, searched, strict=True)],
        [epoch * EPOCHS * value for value in seconds[DEFAULT]],
    )


def decoder_rows(task: str, seconds: Seconds) -> list[Row]:
    """What a decoder's cases come to."""
    return _depth_rows(task, seconds, DECODER_DEPTH, target=4.0)


def _depth_rows(task: str, seconds: Seconds, depth: int, target: float | None = None) -> list[Row]:
    warm = seconds[f"k={depth}"]
    rows = [_row(f"k={depth}, an epoch, warm cache", task, DEFAULT, warm, seconds[DEFAULT])]
    if f"filling for k={depth}" in seconds:
        peer = [EPOCHS * value for value in seconds[DEFAULT]]
        rows.append(_row(f"k={depth}, {EPOCHS} epochs, cold cache", task, DEFAULT, _cold(seconds, depth), peer, target))
    return rows


def _cold(seconds: Seconds, depth: int) -> list[float]:
    filling = seconds[f"filling for k={depth}"]
    return [EPOCHS * epoch + fill for epoch, fill in zip(seconds[f"k={depth}"], filling, strict=True)]


def _row(
    case: str,
    task: str,
    peer: str,
    mine: Sequence[float],
    theirs: Sequence[float],
    target: float | None = None,
    *,
    at_most: bool = False,
) -> Row:
    ratios = [m / t if at_most else t / m for m, t in zip(mine, theirs, strict=True)]
    return Row(case, task, peer, statistics.median(ratios), (min(ratios), max(ratios)), target, at_most)


def until_as_good(work: Work, backbone: Backbone, folder: Path, cache: Path) -> list[dict[str, object]]:
    """Seconds of training until the accuracy on held-out rows that the peer ends with after its epochs.

    Ours goes on for twice as many epochs at most, and holds the filling of the cache. Accuracies are counted for free.
    """
    peer = peers.plain_loop(work, folder, layers=range(backbone.layers), dropout=True)
    theirs = sum(peer.epoch() for _ in range(EPOCHS))
    wanted = peer.accuracy()
    found: list[dict[str, object]] = []
    for depth in (DEPTHS[0], 2):
        layers = range(backbone.layers - depth, backbone.layers)
        taken = ours.fill(work, backbone, layers.start) if layers.start > 0 else 0.0
        mine = ours.fit(work, backbone, layers, cache if layers.start > 0 else None)
        reached, epochs = False, 0
        while not reached and epochs < 2 * EPOCHS:
            taken += mine.epoch()
            epochs += 1
            reached = mine.accuracy() >= wanted
        found.append(
            {
                "task": work.task,
                "case": f"k={depth}, cold cache" if layers.start > 0 else "all layers",
                "peer": DEFAULT,
                "accuracy": round(wanted, 4),
                "epochs": epochs if reached else None,
                "seconds": round(taken, 2),
                "peerSeconds": round(theirs, 2),
                "ratio": round(theirs / taken, 2) if reached else None,
            }
        )
    return found
