"""What following a search costs: the time of one write of gates.parquet beside that of one search step, on MiniLM.

The file is written at its largest, with all snapshots of a search.

    PYTHONPATH=python python scripts/gates_write_time.py [--tasks 2] [--rounds 15] [--threads 1]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from embedded_work import EMBEDDED, load_corpus, lora_space

from espalier_runtime import contract
from espalier_runtime.backbone.heads import Head
from espalier_runtime.backbone.load import load_backbone
from espalier_runtime.search.problem import SNAPSHOTS, GateHistory
from espalier_runtime.structure.space import build_space
from espalier_runtime.trials.calibrate import Workload
from espalier_runtime.trials.gate_file import SECONDS_BETWEEN, TIMES_BETWEEN, GateFile
from espalier_runtime.trials.steps import full_step_ms


def main() -> None:
    """Times writes, then steps."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    backbone = load_backbone(EMBEDDED)
    space = build_space(lora_space(), backbone.sites)
    history = GateHistory()
    for step in range(SNAPSHOTS):
        history.record(step, SNAPSHOTS, torch.rand(options.tasks, len(space.candidates)))
    took = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds + 1):
            file = GateFile(Path(folder) / "gates.parquet", [f"task{task}" for task in range(options.tasks)])
            file.follow(history, space.candidates)
            started = time.perf_counter()
            file.write()
            took.append(1000 * (time.perf_counter() - started))
        kilobytes = (Path(folder) / "gates.parquet").stat().st_size / 1000
    heads = [("snips", Head(backbone.hidden, 7)), ("qnli", Head(backbone.hidden, 2))]
    work = Workload(backbone, space, load_corpus(backbone), contract.Training(batch_size=32), heads)
    step_ms = full_step_ms(work)
    write_ms = statistics.median(took[1:])
    print(
        f"{len(space.candidates)} candidates, {options.tasks} tasks, {SNAPSHOTS} snapshots: {kilobytes:.0f} kB,"
        f" {write_ms:.1f} ms a write; a step takes {step_ms:.0f} ms.\n"
        f"Between two writes lie {max(SECONDS_BETWEEN, TIMES_BETWEEN * write_ms / 1000):.1f} s."
    )


if __name__ == "__main__":
    main()
