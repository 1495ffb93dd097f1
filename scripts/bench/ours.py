"""Espalier's steps, as its training loop takes them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from bench.peers import LEARNING_RATE, RANK
from bench.work import Case, Learner, Work
from espalier_runtime import contract
from espalier_runtime.backbone.heads import Head, Pooling
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.search.budgeted import BudgetedGates
from espalier_runtime.search.problem import SearchProblem
from espalier_runtime.search.saliency import search_saliency
from espalier_runtime.structure.costs import Parameters
from espalier_runtime.structure.gates import FixedGates, Gates
from espalier_runtime.structure.limits import Limit, Limits
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import Space, build_space
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.training.loop import backward
from espalier_runtime.training.model import AdaptedModel
from espalier_runtime.training.optimiser import FlatAdamW
from espalier_runtime.training.prefix_cache import PrefixCache

LINEARS = ["attention.query", "attention.key", "attention.value", "attention.output", "mlp.up", "mlp.gate", "mlp.down"]
LORA = contract.LoraKind(kind="lora", ranks=[RANK], scale=2.0)


def fit(
    work: Work,
    backbone: Backbone,
    layers: range,
    cache: Path | None = None,
    *,
    packed: bool = True,
) -> Learner:
    """A fit of LoRA of rank 8 on all linears of `layers`; from kept states where `cache` is a folder."""
    space = build_space(contract.Space(slots=slots_of(backbone), layers=list(layers), kinds=[LORA]), backbone.sites)
    corpus = work.packed if packed else work.padded
    pooling: Pooling = "last" if backbone.form.causal else "first"
    if cache is not None:
        corpus.cache = PrefixCache(backbone, 1 << 40, "float32", cache)
    return _steps(work, corpus, model_of(work, backbone, space, pooling), FixedGates(None))


def search(work: Work, backbone: Backbone, *, bottlenecks: bool) -> Learner:
    """A budgeted search at 0.5 %: ranks 1, 2, 4 and 8 of all linears, and three widths of a bottleneck a sub-block."""
    kinds: list[contract.LoraKind | contract.BottleneckKind] = [
        contract.LoraKind(kind="lora", ranks=[1, 2, 4, 8], scale=2.0)
    ]
    if bottlenecks:
        kinds.append(contract.BottleneckKind(kind="bottleneck", sizes=[8, 16, 32], activation="gelu", scale=1.0))
    slots = [*slots_of(backbone), "attention", "mlp"] if bottlenecks else slots_of(backbone)
    space = build_space(contract.Space(slots=slots, layers=None, kinds=kinds), backbone.sites)
    method = contract.BudgetedMethod(method="budgeted", name="budgeted", temperature=(1.0, 0.25))
    costs = torch.tensor([float(candidate.parameters) for candidate in space.candidates])
    gates = BudgetedGates(1, costs, int(0.005 * backbone.parameters), method, 0)
    return _steps(work, work.packed, model_of(work, backbone, space, "first"), gates)


def score(work: Work, backbone: Backbone, layers: range, cache: Path) -> Case:
    """A search without training of `layers`: every linear's gradient over all batches, and the structure at 0.5 %."""
    space = build_space(contract.Space(slots=slots_of(backbone), layers=list(layers), kinds=[LORA]), backbone.sites)
    work.packed.cache = PrefixCache(backbone, 1 << 40, "float32", cache)

    def heads(aside: Sequence[int] = (), *, probe: bool | None = None) -> list[tuple[str, Head]]:  # noqa: ARG001
        head = Head(backbone.hidden, work.classes)
        # A head of zeros has no gradient to give.
        for weight in head.parameters():
            nn.init.normal_(weight, std=0.02)
        return [(work.task, head)]

    training = contract.Training(batchSize=len(work.batches[0]), pooling="first")  # type: ignore[call-arg]
    spec = contract.SaliencyMethod(method="saliency", name="saliency", batches=len(work.batches))
    limit = Limit("parameters", Parameters(), int(0.005 * backbone.parameters))
    problem = SearchProblem(
        backbone=backbone,
        space=space,
        limits=Limits([limit], space.candidates),
        tasks=(work.task,),
        corpus=work.packed,
        training=training,
        seed=0,
        new_heads=heads,
        report=lambda step, steps, loss: None,  # noqa: ARG005
    )

    def run() -> float:
        started = time.perf_counter()
        search_saliency(problem, spec, "saliency")
        return time.perf_counter() - started

    return run


def fill(work: Work, backbone: Backbone, layer: int) -> float:
    """Seconds to compute and keep the states that enter `layer` of all rows."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        PrefixCache(backbone, 1 << 40, "float32", Path(folder)).entering(work.packed, layer)
        return time.perf_counter() - started


def slots_of(backbone: Backbone) -> list[str]:
    """The slots of all linears that the backbone has."""
    there = {site.slot for site in backbone.sites}
    return [slot for slot in LINEARS if slot in there]


def model_of(work: Work, backbone: Backbone, space: Space, pooling: Pooling) -> AdaptedModel:
    """The space's adapters and a fresh head on the backbone."""
    pool = AdapterPool(space.candidates, space.kinds, 0)
    return AdaptedModel(backbone, pool, [(work.task, Head(backbone.hidden, work.classes))], pooling).to(backbone.device)


def _steps(work: Work, corpus: Corpus, model: AdaptedModel, gates: Gates) -> Learner:
    optimiser = FlatAdamW(model.trained(), weight_decay=0.01, clip=1.0)
    corpus = model.readable(corpus)

    def run() -> float:
        with model.adapters.attached(model.backbone.model):
            started = time.perf_counter()
            for step, rows in enumerate(work.batches):
                opened = gates.open(step, 1000)
                z = None if opened is None else opened.detach().clone().requires_grad_()
                backward(model, corpus, z, [rows])
                optimiser.step(LEARNING_RATE)
                optimiser.clear()
                if z is not None and z.grad is not None:
                    gates.learn(z.grad)
            model.backbone.wait()
            return time.perf_counter() - started

    return Learner(run, lambda: _accuracy(work, model, gates))


def _accuracy(work: Work, model: AdaptedModel, gates: Gates) -> float:
    model.eval()
    opened = gates.open(0, 1)
    with model.adapters.attached(model.backbone.model):
        right = sum(
            int((model.outputs(batch, opened).argmax(-1) == batch.labels.long()).sum())
            for batch in map(model.readable(work.held_out).batch, work.held_out_batches)
        )
    model.train()
    return right / len(work.held_out)
