"""What another kind in a fused group costs: a training step with several kinds at the same sites of MiniLM.

One kind alone, then with the others one after another, as one group a site, and all of them as a module each. Every
kind has its largest size at every site. All take turns in one process on one batch of random tokens; printed are
medians, and the ratio to the first kind alone turn by turn with its quartiles.

    PYTHONPATH=python python scripts/fused_group_time.py [--turns 20] [--threads 1]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from unittest.mock import patch

import torch
from turns import print_turns

from espalier_runtime import contract
from espalier_runtime.adapters import attach
from espalier_runtime.adapters.kinds import KindSpec
from espalier_runtime.backbone.load import load_backbone
from espalier_runtime.trials.kind_times import random_rows, timed_step

OF_LINEARS: Sequence[KindSpec] = [
    contract.LoraKind(kind="lora"),
    contract.TarpKind(kind="tarp"),
    contract.DualLoraKind(kind="dualLora"),
    contract.GeneratedKind(kind="generated"),
]
OF_BLOCKS: Sequence[KindSpec] = [
    contract.ParallelKind(kind="parallel"),
    contract.ScaledParallelKind(kind="scaledParallel"),
    contract.UTuningKind(kind="uTuning"),
    contract.UnfoldedKind(kind="unfolded"),
]


def apart(step: Callable[[], float]) -> Callable[[], float]:
    """`step` with every kind's module attached for itself."""

    def run() -> float:
        with patch.object(attach, "_fused", list):
            return step()

    return run


def main() -> None:
    """Times both forms."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    backbone = load_backbone(contract.EmbeddedBackbone(source="embedded", name="minilm"))
    corpus = random_rows(backbone)
    for specs in (OF_LINEARS, OF_BLOCKS):
        cases: dict[str, Callable[[], float]] = {}
        for count in range(1, len(specs) + 1):
            step = timed_step(backbone, corpus, specs[:count])
            assert step is not None
            cases[("+ " if count > 1 else "") + specs[count - 1].kind] = step
        cases["all, a module each"] = apart(cases[f"+ {specs[-1].kind}"])
        print_turns(cases, options.turns, specs[0].kind)
        print()


if __name__ == "__main__":
    main()
