"""Predicted against measured step time and memory of a handful of structures on the embedded MiniLM.

The step is calibrated first; then every structure is timed in turn, round after round, on the same batch of median
size, and the medians are compared. Milliseconds are predicted as shares of the full structure's measured step. Memory
is that of the largest part of any batch.

    PYTHONPATH=python python scripts/predicted_step_time.py [--rounds 15] [--batch 32] [--threads 1] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import asdict, dataclass

import torch
from embedded_work import EMBEDDED, load_corpus, lora_space

from espalier_runtime import contract
from espalier_runtime.backbone.heads import Head
from espalier_runtime.backbone.load import load_backbone
from espalier_runtime.structure.space import Candidate, Space, build_space
from espalier_runtime.trials.calibrate import Workload, measure_times
from espalier_runtime.trials.step_memory import measure_memory, peak_bytes
from espalier_runtime.trials.steps import step_ms


@dataclass(frozen=True)
class Row:
    """A structure's step, in milliseconds, and what it holds at its peak."""

    structure: str
    predicted: float
    measured: float
    predictedMiB: float  # noqa: N815
    measuredMiB: float  # noqa: N815


def main() -> None:
    """Calibrates, times, compares."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=["wall", "processor"], default="wall", help="processor: one thread's own")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.thread_time if options.clock == "processor" else time.perf_counter
    backbone = load_backbone(EMBEDDED)
    space = build_space(lora_space(), backbone.sites)
    training = contract.Training(batch_size=options.batch)
    heads = [("snips", Head(backbone.hidden, 7)), ("qnli", Head(backbone.hidden, 2))]
    work = Workload(backbone, space, load_corpus(backbone), training, heads)
    batch = work.typical_batch
    started = time.perf_counter()
    times = measure_times(work, batch)
    seconds = time.perf_counter() - started
    structures = some_structures(space)
    measured: dict[str, list[float]] = {name: [] for name in structures}
    for _ in range(options.rounds):
        for name, candidates in structures.items():
            measured[name].append(step_ms(work, batch, candidates, clock))
    full = times.price(space.candidates).of(range(len(space.candidates)))
    scale = statistics.median(measured["full"]) / full
    started = time.perf_counter()
    part = work.largest_part
    memory = measure_memory(work, part)
    memory_seconds = time.perf_counter() - started
    rows = [
        Row(
            structure=name,
            predicted=scale * times.price(candidates).of(range(len(candidates))),
            measured=statistics.median(measured[name]),
            predictedMiB=memory.price(candidates).of(range(len(candidates))) / 2**20,
            measuredMiB=peak_bytes(work, work.model(candidates), part) / 2**20,
        )
        for name, candidates in structures.items()
    ]
    if options.json:
        found = [{**asdict(row), "error": row.predicted / row.measured - 1} for row in rows]
        print(json.dumps({"memory": memory_seconds, "calibration": seconds, "unscaled": 1 / scale, "rows": found}))
        return
    print(
        f"calibration took {seconds:.1f} s, of memory {memory_seconds:.1f} s;"
        f" unscaled, the full step is predicted at {1 / scale:.2f} of its time"
    )
    print(f"{'structure':32}{'step, predicted':>16}{'measured':>10}{'':>8}{'memory, predicted':>20}{'measured':>10}")
    for row in rows:
        step, held = row.predicted / row.measured - 1, row.predictedMiB / row.measuredMiB - 1
        print(
            f"{row.structure:32}{row.predicted:13.1f} ms{row.measured:7.1f} ms{100 * step:+7.1f}%"
            f"{row.predictedMiB:16.1f} MiB{row.measuredMiB:6.1f} MiB{100 * held:+6.1f}%"
        )


def some_structures(space: Space) -> dict[str, list[Candidate]]:
    """From one site to all of them, shallow and deep."""
    every = list(space.candidates)
    structures = {"full": every}
    structures["every site, rank 1"] = [c for c in every if c.level == 0]
    for lowest in range(1, 6):
        structures[f"layers {lowest} to 5, rank 8"] = [c for c in every if c.site.layer >= lowest]
    structures["layers 3 to 5, query and value"] = [
        c for c in every if c.site.layer >= 3 and c.site.slot in ("attention.query", "attention.value")
    ]
    structures["layer 5, mlp.down, rank 1"] = [c for c in every if c.site.name == "layers.5.mlp.down" and c.level == 0]
    structures["layer 0 query only, rank 8"] = [c for c in every if c.site.name == "layers.0.attention.query"]
    return structures


if __name__ == "__main__":
    main()
