"""Milliseconds of a training step: a budgeted search over all candidates against PEFT's LoRA r=8 on all linears.

Both run on the same frozen MiniLM in evaluation mode (no dropout), the same rows of the embedded tasks in the same
padded batches, with the same mean-pooled linear head and fused AdamW, interleaved in one process. Printed are medians,
and the ratio pair by pair with its quartiles.

    PYTHONPATH=python python scripts/step_time.py [--steps 40] [--batch 32] [--threads 1] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from peft import LoraConfig, get_peft_model
from torch.nn import functional

from espalier_runtime import contract
from espalier_runtime.backbone.heads import Head, pool
from espalier_runtime.backbone.load import Backbone, load_backbone
from espalier_runtime.search.budgeted import BudgetedGates
from espalier_runtime.structure.gates import FixedGates, Gates
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import Space, build_space
from espalier_runtime.tasks.batching import training_batches
from espalier_runtime.tasks.corpus import WINDOW, Batch, Corpus
from espalier_runtime.tasks.load import load_task
from espalier_runtime.tasks.tokenise import encode
from espalier_runtime.training.model import AdaptedModel

SLOTS = ["attention.query", "attention.key", "attention.value", "attention.output", "mlp.up", "mlp.down"]
EMBEDDED = contract.EmbeddedBackbone(source="embedded", name="minilm")


def main() -> None:
    """Times every variant on each batch in turn."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    corpus = load_corpus(load_backbone(EMBEDDED))
    batches = training_batches(corpus.lengths, options.batch, 0, 0, WINDOW)[: options.steps + 3]
    variants: dict[str, Callable[[Batch], None]] = {
        "search, 144 LoRA candidates": search_step(lora_space()),
        "search, 144 LoRA and 36 bottleneck candidates": search_step(mixed_space()),
        "uniform LoRA r=8, fused groups": uniform_step(),
        "PEFT LoRA r=8 on all linears": peft_step(),
    }
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for index, rows in enumerate(batches):
        batch = corpus.batch(rows)
        for name, step in variants.items():
            started = time.perf_counter()
            step(batch)
            if index >= 3:
                seconds[name].append(time.perf_counter() - started)
    peer = seconds["PEFT LoRA r=8 on all linears"]
    rows_out = []
    for name, times in seconds.items():
        ratios = sorted(mine / theirs for mine, theirs in zip(times, peer, strict=True))
        quartiles = [round(value, 3) for value in statistics.quantiles(ratios, n=4)]
        rows_out.append({"case": name, "ms": round(1000 * statistics.median(times), 1), "ratio": quartiles})
    if options.json:
        print(json.dumps({"threads": options.threads, "batch": options.batch, "rows": rows_out}))
        return
    for row in rows_out:
        low, middle, high = row["ratio"]
        print(f"{row['case']:48} {row['ms']:8.1f} ms   {middle:.2f} of PEFT (quartiles {low:.2f} to {high:.2f})")


def load_corpus(backbone: Backbone) -> Corpus:
    """The training rows of both embedded tasks."""
    rows = []
    for index, name in enumerate(("snips", "qnli")):
        spec = contract.EmbeddedTask(name=name, kind="classification", metric=None, source="embedded", id=name)
        examples = load_task(spec).train
        ids = encode(backbone.tokenizer, examples, 128)
        rows += [(index, tokens, float(example.label)) for tokens, example in zip(ids, examples, strict=True)]
    return Corpus(["snips", "qnli"], rows, 0, torch.device("cpu"))


def lora_space() -> contract.Space:
    """Ranks 1, 2, 3-4 and 5-8 at each of the 36 linears."""
    return contract.Space(
        slots=SLOTS, layers=None, kinds=[contract.LoraKind(kind="lora", ranks=[1, 2, 4, 8], scale=2.0)]
    )


def mixed_space() -> contract.Space:
    """The same, and three widths of a bottleneck at both sub-blocks of each layer."""
    bottleneck = contract.BottleneckKind(kind="bottleneck", sizes=[8, 16, 32], activation="gelu", scale=1.0)
    lora = contract.LoraKind(kind="lora", ranks=[1, 2, 4, 8], scale=2.0)
    return contract.Space(slots=[*SLOTS, "attention", "mlp"], layers=None, kinds=[lora, bottleneck])


def search_step(spec: contract.Space) -> Callable[[Batch], None]:
    """One step of the budgeted search at 0.5 % of the backbone."""
    backbone = load_backbone(EMBEDDED)
    space = build_space(spec, backbone.sites)
    costs = torch.tensor([float(candidate.parameters) for candidate in space.candidates])
    method = contract.BudgetedMethod(
        method="budgeted",
        name="budgeted",
        fit="retrain",
        epochs=None,
        gate_learning_rate=0.05,
        task_gate_learning_rate=0.005,
        temperature=(1.0, 0.25),
        budget_reached=0.6,
        noise=True,
    )
    return our_step(backbone, space, BudgetedGates(2, costs, int(0.005 * backbone.parameters), method, 0))


def uniform_step() -> Callable[[Batch], None]:
    """One step with every candidate of the LoRA space open."""
    backbone = load_backbone(EMBEDDED)
    space = build_space(lora_space(), backbone.sites)
    return our_step(backbone, space, FixedGates(torch.ones(2, len(space.candidates), dtype=torch.bool)))


def our_step(backbone: Backbone, space: Space, gates: Gates) -> Callable[[Batch], None]:
    """A step as in training/loop.py, on a given batch."""
    adapters = AdapterPool(space.candidates, space.kinds, 0)
    model = AdaptedModel(backbone, adapters, [("snips", Head(384, 7)), ("qnli", Head(384, 2))], "mean")
    optimiser = torch.optim.AdamW(model.trained(), lr=1e-3, fused=True)
    steps = 0

    def step(batch: Batch) -> None:
        nonlocal steps
        with adapters.attached(backbone.model):
            opened = gates.open(steps, 1000)
            z = None if opened is None else opened.detach().clone().requires_grad_()
            model.losses(batch, z).mean().backward()
        torch.nn.utils.clip_grad_norm_(model.trained(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        if z is not None and z.grad is not None:
            gates.learn(z.grad)
        steps += 1

    return step


def peft_step() -> Callable[[Batch], None]:
    """The same step with PEFT's LoRA instead of the pool."""
    backbone = load_backbone(EMBEDDED)
    targets = r"encoder\.layer\.\d+\..*\.(query|key|value|dense)|encoder\.layer\.\d+\.(intermediate|output)\.dense"
    model = get_peft_model(backbone.model, LoraConfig(r=8, lora_alpha=16, lora_dropout=0.0, target_modules=targets))
    model.eval()
    heads = [Head(384, 7), Head(384, 2)]
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    trained += [weight for head in heads for weight in head.parameters()]
    optimiser = torch.optim.AdamW(trained, lr=1e-3, fused=True)

    def step(batch: Batch) -> None:
        output = model(
            input_ids=batch.inputs.input_ids,
            attention_mask=batch.inputs.layout.mask,
            token_type_ids=batch.inputs.token_type_ids,
        )
        pooled = pool(output.last_hidden_state, batch.inputs.layout, "mean")
        losses = pooled.new_zeros(len(pooled))
        for task, head in enumerate(heads):
            rows = (batch.task_ids == task).nonzero().squeeze(1)
            part = functional.cross_entropy(head(pooled[rows]), batch.labels[rows].long(), reduction="none")
            losses = losses.index_copy(0, rows, part)
        losses.mean().backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        optimiser.zero_grad()

    return step


if __name__ == "__main__":
    main()
