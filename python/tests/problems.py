"""A tiny search problem on a random BERT: two tasks over random token ids."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from conftest import tiny

from espalier_runtime import contract
from espalier_runtime.backbone.heads import Head
from espalier_runtime.search.problem import SearchProblem
from espalier_runtime.structure.costs import Parameters
from espalier_runtime.structure.limits import Limit, Limits
from espalier_runtime.structure.space import build_space
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.tasks.tokenise import TokenIds

LINEARS = ["attention.query", "attention.key", "attention.value", "attention.output", "mlp.up", "mlp.down"]


def training(**changes: object) -> contract.Training:
    given = {
        "epochs": 2,
        "maxSteps": None,
        "batchSize": 8,
        "maxTokens": 4096,
        "learningRate": 0.01,
        "schedule": "linear",
        "warmup": 0.1,
        "weightDecay": 0.0,
        "gradientClip": 1.0,
        "maxLength": 16,
        "pooling": "mean",
        "headInit": "zero",
        "earlyStopping": None,
        "device": "cpu",
        "threads": None,
    }
    return contract.Training.model_validate({**given, **changes})


def corpus(tasks: int = 2, rows: int = 24, *, packed: bool = False) -> Corpus:
    """Rows of 4 to 9 random tokens; a row's class is whether its first token is even."""
    generator = torch.Generator().manual_seed(4)
    made = []
    for task in range(tasks):
        for _ in range(rows):
            length = int(torch.randint(4, 10, (1,), generator=generator))
            ids = torch.randint(5, 99, (length,), generator=generator).tolist()
            made.append((task, TokenIds(ids, None, False), float(ids[0] % 2)))
    return Corpus([f"task{task}" for task in range(tasks)], made, 0, torch.device("cpu"), packed=packed)


def heads(tasks: int) -> Sequence[tuple[str, Head]]:
    """Heads with weights that are not zero, so that the loss has a gradient from the first step."""
    generator = torch.Generator().manual_seed(11)
    made = [Head(32, 2) for _ in range(tasks)]
    for head in made:
        torch.nn.init.normal_(head.linear.weight, std=0.3, generator=generator)
    return [(f"task{task}", head) for task, head in enumerate(made)]


def problem(
    budget: int = 1000,
    tasks: int = 2,
    space: contract.Space | None = None,
    limits: Limits | None = None,
    **changes: object,
) -> SearchProblem:
    """`limits` default to `budget` parameters."""
    backbone = tiny("bert")
    spec = space or contract.Space(
        slots=LINEARS, layers=None, kinds=[contract.LoraKind(kind="lora", ranks=[1, 2, 4], scale=2.0)]
    )
    built = build_space(spec, backbone.sites, tasks)
    return SearchProblem(
        backbone=backbone,
        space=built,
        limits=limits or Limits([Limit("parameters", Parameters(), budget)], built.candidates),
        tasks=tuple(f"task{task}" for task in range(tasks)),
        corpus=corpus(tasks),
        training=training(**changes),
        seed=0,
        new_heads=lambda aside=(), probe=None: heads(tasks),
        report=lambda step, steps, loss: None,
    )


def budgeted(**changes: object) -> contract.BudgetedMethod:
    given = {
        "method": "budgeted",
        "name": "budgeted",
        "fit": "retrain",
        "epochs": None,
        "gateLearningRate": 0.05,
        "taskGateLearningRate": 0.01,
        "temperature": [1.0, 0.25],
        "budgetReached": 0.6,
        "noise": True,
    }
    return contract.BudgetedMethod.model_validate({**given, **changes})


def paper(sparsity: float) -> contract.PaperMethod:
    return contract.PaperMethod(
        method="paper",
        name="paper",
        fit="retrain",
        epochs=None,
        gate_learning_rate=0.05,
        task_gate_learning_rate=0.01,
        sparsity=sparsity,
    )


def paths(count: int, *, slots: list[str] | None = None, ranks: list[int] | None = None) -> contract.Space:
    """A space in which every linear has `count` LoRAs."""
    kinds = [contract.LoraKind(kind="lora", ranks=ranks or [1, 2, 4], scale=2.0)]
    return contract.Space(slots=slots or LINEARS, layers=None, kinds=kinds, paths=count)
