"""Espalier against what people run today, interleaved in one process on the same rows, batches, seeds and threads.

    PYTHONPATH=python:scripts python -m bench [--data FOLDER] [--tasks trec,sst2] [--repetitions 3] [--batches 12]
        [--batch 32] [--threads 1] [--device cuda] [--quick] [--json]

One repetition runs every case over the same batches, one after the other in an order of chance. A ratio is the peer's
time over ours, repetition by repetition; printed are the median and the lowest and highest. Where a ratio is over five
epochs, ours holds the filling of the cache once. A case that breaks ends the benchmark; a target that is missed does
not. `--json` prints {"machine", "rows": [{"case", "task", "peer", "ratio", "spread", "target", "met"}], "limits",
"bytes"}.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from bench import ours, peers
from bench.limit import gemm_rate, least_seconds, saved_bytes
from bench.table import markdown
from bench.work import Work, load_work
from espalier_runtime import contract
from espalier_runtime.backbone.embedded import embedded_folder
from espalier_runtime.backbone.load import Backbone, load_backbone
from espalier_runtime.structure.space import build_space

TASKS = ["trec", "sst2", "mnli", "boolq"]
EMBEDDED = ["snips", "qnli"]
EPOCHS = 5
DEPTHS = (6, 4, 2, 1)

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
        if self.target is None:
            return None
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    folder = embedded_folder("minilm")
    device = torch.device(options.device)
    backbone = load_backbone(contract.EmbeddedBackbone(source="embedded", name="minilm"), device)
    data: Path | None = options.data if options.data.is_dir() else None
    tasks = options.tasks or (TASKS if data is not None else EMBEDDED)
    if options.quick:
        tasks, options.repetitions, options.batches = tasks[:1], 2, 4
    rows: list[Row] = []
    limits: list[dict[str, object]] = []
    kept: list[dict[str, object]] = []
    for task in tasks:
        count = max(2, options.batches // 4) if task == "boolq" else options.batches
        work = load_work(task, backbone, data, options.batch, count)
        with TemporaryDirectory() as cache:
            cases, fills = _cases(work, backbone, folder, Path(cache))
            seconds = _interleaved(cases, options.repetitions, task)
        rows += _rows(task, seconds, fills)
        rate = gemm_rate(backbone, work.tokens // len(work.batches))
        limits += _limits(work, backbone, seconds, rate)
        kept += _kept(work, folder, backbone)
    result = {
        "machine": _machine(device, options),
        "rows": [
            {
                "case": row.case,
                "task": row.task,
                "peer": row.peer,
                "ratio": round(row.ratio, 3),
                "spread": [round(value, 3) for value in row.spread],
                "target": row.target,
                "met": row.met,
            }
            for row in rows
        ],
        "limits": limits,
        "bytes": kept,
    }
    print(json.dumps(result) if options.json else markdown(result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--tasks", type=lambda text: text.split(","), default=None)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--quick", action="store_true", help="one task, few batches: about two minutes")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _cases(
    work: Work, backbone: Backbone, folder: Path, cache: Path
) -> tuple[dict[str, Callable[[], float]], dict[int, float]]:
    """Every case by its name, and the seconds it takes to fill the cache for each depth."""
    every = range(backbone.layers)
    cases: dict[str, Callable[[], float]] = {
        TRAINER: peers.trainer(work, folder, layers=every),
        DEFAULT: peers.plain_loop(work, folder, layers=every, dropout=True),
        STILL: peers.plain_loop(work, folder, layers=every, dropout=False),
        BUCKETS: peers.plain_loop(work, folder, layers=every, dropout=False, buckets=True),
        SAME_K2: peers.plain_loop(work, folder, layers=every[-2:], dropout=False),
        ADALORA: peers.ada_lora(work, folder, layers=every),
        FULL: peers.full_fine_tuning(work, folder),
        "search, linears": ours.search(work, backbone, bottlenecks=False),
        "search, linears and bottlenecks": ours.search(work, backbone, bottlenecks=True),
    }
    fills = {}
    for depth in DEPTHS:
        layers = range(backbone.layers - depth, backbone.layers)
        if layers.start > 0:
            fills[depth] = ours.fill(work, backbone, layers.start)
            cases[f"k={depth}, uncached"] = ours.fit(work, backbone, layers)
        cases[f"k={depth}"] = ours.fit(work, backbone, layers, cache)
    return cases, fills


def _interleaved(cases: dict[str, Callable[[], float]], repetitions: int, task: str) -> dict[str, list[float]]:
    """Seconds of each case in each repetition; a first one is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    chance = random.Random(0)
    for repetition in range(repetitions + 1):
        for name in chance.sample(list(cases), len(cases)):
            taken = cases[name]()
            if repetition > 0:
                seconds[name].append(taken)
        print(f"{task}: {repetition} of {repetitions} repetitions", file=sys.stderr)
    return seconds


def _rows(task: str, seconds: dict[str, list[float]], fills: dict[int, float]) -> list[Row]:
    rows = []

    def add(
        case: str,
        peer: str,
        mine: list[float],
        target: float | None = None,
        *,
        theirs: list[float] | None = None,
        at_most: bool = False,
    ) -> None:
        other = seconds[peer] if theirs is None else theirs
        ratios = [m / t if at_most else t / m for m, t in zip(mine, other, strict=True)]
        rows.append(Row(case, task, peer, statistics.median(ratios), (min(ratios), max(ratios)), target, at_most))

    for depth in DEPTHS:
        warm = seconds[f"k={depth}"]
        add(f"k={depth}, an epoch, warm cache", DEFAULT, warm)
        if depth in fills:
            cold = [EPOCHS * value + fills[depth] for value in warm]
            add(
                f"k={depth}, {EPOCHS} epochs, cold cache",
                TRAINER,
                cold,
                TRAINER_TARGETS.get(task) if depth == 2 else None,
                theirs=[EPOCHS * value for value in seconds[TRAINER]],
            )
            if depth == 2:
                add(
                    f"k={depth}, {EPOCHS} epochs, cold cache",
                    SAME_K2,
                    cold,
                    SAME_TARGETS.get(task),
                    theirs=[EPOCHS * value for value in seconds[SAME_K2]],
                )
    all_layers = f"k={DEPTHS[0]}"
    add("all layers, an epoch", STILL, seconds[all_layers], 2.5)
    add("all layers, an epoch", BUCKETS, seconds[all_layers], 1.4)
    add("all layers, an epoch", ADALORA, seconds[all_layers])
    add("all layers, an epoch", FULL, seconds[all_layers])
    add(
        "search, linears and bottlenecks, a step", STILL, seconds["search, linears and bottlenecks"], 0.95, at_most=True
    )
    add("search, linears, a step", all_layers, seconds["search, linears"], at_most=True)
    return rows


def _limits(work: Work, backbone: Backbone, seconds: dict[str, list[float]], rate: float) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for depth in DEPTHS:
        layers = range(backbone.layers - depth, backbone.layers)
        least = least_seconds(work, backbone, layers, rate, cached=True)
        taken = statistics.median(seconds[f"k={depth}"])
        found.append(
            {
                "task": work.task,
                "case": f"k={depth}, warm cache",
                "gigaflops": round(rate / 1e9, 1),
                "leastMs": round(1000 * least / len(work.batches), 2),
                "measuredMs": round(1000 * taken / len(work.batches), 2),
                "share": round(least / taken, 3),
            }
        )
    return found


def _kept(work: Work, folder: Path, backbone: Backbone) -> list[dict[str, object]]:
    """Bytes kept for backward of the first batch, against PEFT as people run it."""
    rows = work.batches[0]
    model = peers.lora_model(work, folder, range(backbone.layers)).train()
    batch = work.batch(rows)
    peer = saved_bytes(
        lambda: (
            model(
                input_ids=batch.inputs.input_ids,
                attention_mask=batch.inputs.layout.mask,
                token_type_ids=batch.inputs.token_type_ids,
                labels=batch.labels.long(),
            ).loss
        ),
        model,
    )
    found = []
    for depth, target in ((backbone.layers, 0.5), (2, 0.15)):
        layers = list(range(backbone.layers - depth, backbone.layers))
        space = build_space(contract.Space(slots=ours.LINEARS, layers=layers, kinds=[ours.LORA]), backbone.sites)
        own = ours.model_of(work, backbone, space, "first")
        with own.adapters.attached(backbone.model):
            both = torch.nn.ModuleList([own, backbone.model])
            kept = saved_bytes(lambda own=own: own.losses(work.packed.batch(rows), None).sum(), both)
        found.append(
            {
                "task": work.task,
                "case": f"k={depth}",
                "bytes": kept,
                "peer": peer,
                "ratio": round(kept / peer, 3),
                "target": target,
                "met": kept / peer <= target,
            }
        )
    return found


def _machine(device: torch.device, options: argparse.Namespace) -> dict[str, object]:
    import peft
    import transformers

    return {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else _processor(),
        "threads": options.threads,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "peft": peft.__version__,
        "batch": options.batch,
        "repetitions": options.repetitions,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
