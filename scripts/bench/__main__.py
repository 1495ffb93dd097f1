"""Espalier against what people run today, interleaved in one process on the same rows, batches, seeds and threads.

    PYTHONPATH=python:scripts python -m bench [--data FOLDER] [--tasks trec,sst2] [--repetitions 3] [--batches 12]
        [--batch 32] [--threads 1] [--device cuda] [--quick] [--json]

One repetition runs every case over the same batches, one after the other in an order of chance. A ratio is the peer's
time over ours, repetition by repetition; printed are the median and the lowest and highest. Where a ratio is over five
epochs, ours holds the filling of the cache once. A case that breaks ends the benchmark; a target that is missed does
not. `--json` prints {"machine", "rows": [{"case", "task", "peer", "ratio", "spread", "target", "met"}], "accuracy",
"limits", "where", "bytes"}.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from bench import ours, peers
from bench.limit import gemm_rate, least_seconds, saved_bytes
from bench.ratios import (
    DEPTHS,
    Row,
    Seconds,
    decoder_cases,
    decoder_rows,
    encoder_cases,
    encoder_rows,
    interleaved,
    until_as_good,
)
from bench.table import markdown
from bench.where import time_by_part
from bench.work import Work, load_work
from espalier_runtime import contract
from espalier_runtime.backbone.embedded import embedded_folder
from espalier_runtime.backbone.load import Backbone, load_backbone
from espalier_runtime.errors import InputError
from espalier_runtime.structure.space import build_space
from espalier_runtime.tasks.corpus import Batch
from espalier_runtime.training.model import AdaptedModel

TASKS = ["trec", "sst2", "mnli", "boolq"]
EMBEDDED = ["snips", "qnli"]


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    folder = embedded_folder("minilm")
    backbone = load_backbone(contract.EmbeddedBackbone(source="embedded", name="minilm"), device)
    data: Path | None = options.data if options.data.is_dir() else None
    tasks = options.tasks or (TASKS if data is not None else EMBEDDED)
    if options.quick:
        tasks, options.repetitions, options.batches = tasks[:1], 2, 4
    result: dict[str, list[dict[str, object]]] = {"rows": [], "accuracy": [], "limits": [], "where": [], "bytes": []}
    for task in tasks:
        count = max(2, options.batches // 4) if task == "boolq" else options.batches
        work = load_work(task, backbone, data, options.batch, count)
        with TemporaryDirectory() as cache:
            seconds = interleaved(
                encoder_cases(work, backbone, folder, Path(cache)), options.repetitions, f"MiniLM, {task}"
            )
            result["rows"] += [_of(row) for row in encoder_rows(work, seconds)]
            result["accuracy"] += [] if options.quick else until_as_good(work, backbone, folder, Path(cache))
            result["where"] += _where(work, backbone, Path(cache))
        result["limits"] += _limits(work, backbone, seconds, gemm_rate(backbone, work.tokens // len(work.batches)))
        result["bytes"] += _kept(work, folder, backbone)
    if not options.quick:
        result["rows"] += _decoder(tasks[0], data, device, options)
    whole = {"machine": _machine(device, options), **result}
    print(json.dumps(whole) if options.json else markdown(whole))


def _of(row: Row) -> dict[str, object]:
    return {
        "case": row.case,
        "task": row.task,
        "peer": row.peer,
        "ratio": round(row.ratio, 3),
        "spread": [round(value, 3) for value in row.spread],
        "target": row.target,
        "met": row.met,
    }


def _decoder(
    task: str, data: Path | None, device: torch.device, options: argparse.Namespace
) -> list[dict[str, object]]:
    """SmolLM2's rows, on batches of a quarter of the size; none where it is not installed."""
    spec = contract.EmbeddedBackbone(source="embedded", name="smollm2")
    try:
        backbone = load_backbone(spec, device)
    except InputError as error:
        print(f"no decoder: {error}", file=sys.stderr)
        return []
    work = load_work(task, backbone, data, max(2, options.batch // 4), max(2, options.batches // 3))
    with TemporaryDirectory() as cache:
        cases = decoder_cases(work, backbone, embedded_folder("smollm2"), Path(cache))
        seconds = interleaved(cases, min(options.repetitions, 3), f"SmolLM2, {task}")
    return [_of(row) for row in decoder_rows(f"{task}, SmolLM2", seconds)]


def _where(work: Work, backbone: Backbone, cache: Path) -> list[dict[str, object]]:
    """Shares of a step's time, with all layers adapted and with two on a warm cache."""
    found: list[dict[str, object]] = []
    for depth in (backbone.layers, 2):
        layers = range(backbone.layers - depth, backbone.layers)
        parts = time_by_part(ours.fit(work, backbone, layers, cache))
        found.append(
            {"task": work.task, "case": f"k={depth}", "parts": {name: round(share, 3) for name, share in parts.items()}}
        )
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.splitlines()[0])
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


def _limits(work: Work, backbone: Backbone, seconds: Seconds, rate: float) -> list[dict[str, object]]:
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
                "tokens": work.tokens // len(work.batches),
                "leastMs": round(1000 * least / len(work.batches), 2),
                "measuredMs": round(1000 * taken / len(work.batches), 2),
                "share": round(least / taken, 3),
            }
        )
    return found


def _loss(model: AdaptedModel, batch: Batch) -> Tensor:
    return model.losses(batch, None).sum()


def _kept(work: Work, folder: Path, backbone: Backbone) -> list[dict[str, object]]:
    """Bytes kept for backward of the first batch, against PEFT as people run it."""
    rows = work.batches[0]
    model = peers.lora_model(work, folder, range(backbone.layers)).train()
    given = peers.arguments_of(work.batch(rows))
    peer = saved_bytes(lambda: model(**given).loss, model)
    found = []
    for depth, target in ((backbone.layers, 0.5), (2, 0.15)):
        layers = list(range(backbone.layers - depth, backbone.layers))
        space = build_space(
            contract.Space(slots=ours.slots_of(backbone), layers=layers, kinds=[ours.LORA]), backbone.sites
        )
        own = ours.model_of(work, backbone, space, "first")
        with own.adapters.attached(backbone.model):
            both = torch.nn.ModuleList([own, backbone.model])
            kept = saved_bytes(partial(_loss, own, work.packed.batch(rows)), both)
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
        "date": datetime.now(UTC).date().isoformat(),
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
