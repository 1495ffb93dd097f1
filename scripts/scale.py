"""How a search step's time and memory grow with tokens, rows, layers, candidates and tasks, on a random BERT.

    PYTHONPATH=python python scripts/scale.py [--repetitions 5] [--threads 1] [--quick]

One thing grows at a time from a middle case (32 rows of 32 tokens, 6 layers of width 192, 144 candidates, 1 task). The
cases of an axis take turns; a time is the median over the repetitions. Memory is the most that a step's tensors hold.
Prints {"threads", "points": [{"axis", "value", "ms", "MiB"}]}; `scripts/scale.ts` draws it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from espalier_runtime import contract
from espalier_runtime.backbone.heads import Head
from espalier_runtime.backbone.load import Backbone, as_backbone
from espalier_runtime.search.budgeted import BudgetedGates
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import Space, build_space
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.tasks.tokenise import TokenIds
from espalier_runtime.training.loop import backward
from espalier_runtime.training.model import AdaptedModel
from espalier_runtime.training.optimiser import FlatAdamW
from espalier_runtime.trials.calibrate import Workload
from espalier_runtime.trials.step_memory import peak_bytes

LINEARS = ["attention.query", "attention.key", "attention.value", "attention.output", "mlp.up", "mlp.down"]
WIDTH = 192


@dataclass(frozen=True)
class Case:
    tokens: int = 32
    rows: int = 32
    layers: int = 6
    linears: int = len(LINEARS)  # of a layer
    chunks: int = 4  # of rank 1 at each linear
    tasks: int = 1

    @property
    def candidates(self) -> int:
        return self.chunks * self.linears * self.layers


#: What grows, how the axis calls it, and its values. Candidates are of rank 1, so that the inner widths grow with them.
AXES: dict[str, list[Case]] = {
    "tokens of a row": [Case(tokens=n) for n in (8, 16, 32, 64, 128, 256)],
    "rows of a batch": [Case(rows=n) for n in (4, 8, 16, 32, 64, 128)],
    "layers": [Case(layers=n) for n in (2, 4, 6, 8, 12)],
    "candidates": [Case(linears=2, chunks=1), *(Case(chunks=n) for n in (1, 2, 4, 8, 16, 32, 64, 128, 256))],
    "tasks": [Case(tasks=n) for n in (1, 2, 4, 8, 16, 32)],
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="two values an axis, two repetitions")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    points = []
    for axis, cases in AXES.items():
        wanted = cases[:2] if options.quick else cases
        points += measure(axis, wanted, 2 if options.quick else options.repetitions)
        print(axis, file=sys.stderr)
    print(json.dumps({"threads": options.threads, "points": points}))


def measure(axis: str, cases: list[Case], repetitions: int) -> list[dict[str, object]]:
    """Milliseconds and MiB of each case's step, one after the other in every repetition."""
    steps = [step_of(case) for case in cases]
    taken: list[list[float]] = [[] for _ in cases]
    for repetition in range(repetitions + 1):
        for (step, _), times in zip(steps, taken, strict=True):
            started = time.perf_counter()
            step()
            if repetition > 0:
                times.append(time.perf_counter() - started)
    return [
        {
            "axis": axis,
            "value": value_of(axis, case),
            "ms": round(1000 * statistics.median(times), 2),
            "MiB": round(held() / 2**20, 2),
        }
        for case, (_, held), times in zip(cases, steps, taken, strict=True)
    ]


def value_of(axis: str, case: Case) -> int:
    """Where the case stands on its axis."""
    return {
        "tokens of a row": case.tokens,
        "rows of a batch": case.rows,
        "layers": case.layers,
        "candidates": case.candidates,
        "tasks": case.tasks,
    }[axis]


def step_of(case: Case) -> tuple[Callable[[], None], Callable[[], float]]:
    """A step of a budgeted search over the case, and what tells the bytes it holds."""
    backbone = bert(case.layers)
    spec = contract.Space(
        slots=LINEARS[: case.linears],
        layers=None,
        kinds=[contract.LoraKind(kind="lora", ranks=list(range(1, case.chunks + 1)), scale=2.0)],
    )
    space = build_space(spec, backbone.sites)
    corpus = corpus_of(case)
    heads = [(f"task{task}", Head(WIDTH, 2)) for task in range(case.tasks)]
    model = AdaptedModel(backbone, AdapterPool(space.candidates, space.kinds, 0), heads, "mean")
    costs = torch.tensor([float(candidate.parameters) for candidate in space.candidates])
    method = contract.BudgetedMethod(method="budgeted", name="budgeted", temperature=(1.0, 0.25))
    gates = BudgetedGates(case.tasks, costs, int(costs.sum()) // 4, method, 0)
    optimiser = FlatAdamW(model.trained(), weight_decay=0.01, clip=1.0)
    batch = list(range(case.rows))
    work = workload(backbone, space, corpus, heads)

    def step() -> None:
        with model.adapters.attached(backbone.model):
            opened = gates.open(1, 100)
            assert opened is not None
            z = opened.detach().clone().requires_grad_()
            backward(model, corpus, z, [batch])
        optimiser.step(1e-3)
        optimiser.clear()
        assert z.grad is not None
        gates.learn(z.grad)

    def held() -> float:
        optimiser.close()
        return peak_bytes(work, model, batch, torch.full((case.tasks, len(space.candidates)), 0.5))

    return step, held


def bert(layers: int) -> Backbone:
    """A random BERT."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=6,
        intermediate_size=4 * WIDTH,
        vocab_size=1000,
        max_position_embeddings=512,
    )
    return as_backbone(BertModel(config, add_pooling_layer=False), None, "random BERT")


def corpus_of(case: Case) -> Corpus:
    """Rows of as many random tokens, dealt out over the tasks."""
    ids = torch.randint(5, 1000, (case.rows, case.tokens), generator=torch.Generator().manual_seed(0)).tolist()
    rows = [(row % case.tasks, TokenIds(tokens, None, False), float(row % 2)) for row, tokens in enumerate(ids)]
    return Corpus([f"task{task}" for task in range(case.tasks)], rows, 0, torch.device("cpu"), packed=True)


def workload(backbone: Backbone, space: Space, corpus: Corpus, heads: list[tuple[str, Head]]) -> Workload:
    """What the memory of a step is measured of."""
    training = contract.Training(maxTokens=1 << 20)  # type: ignore[call-arg]
    return Workload(backbone, space, corpus, training, heads)


if __name__ == "__main__":
    main()
