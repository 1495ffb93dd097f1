"""Runs with one finished trial whose adapters and heads are random, for what reads a run's adapters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from espalier_runtime import contract
from espalier_runtime.adapters.kinds import kinds_of
from espalier_runtime.backbone.heads import Head
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.export import native
from espalier_runtime.export.texts import Texts
from espalier_runtime.records.directory import RunDirectory
from espalier_runtime.records.files import write_json
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import build_space
from espalier_runtime.structure.structure import Structure, to_record
from espalier_runtime.training.model import AdaptedModel

TASKS = ("intent", "score")
EXAMPLES: dict[str, Texts] = {
    "intent": [("play some jazz", None), ("will it rain in the north tomorrow", None), ("add this to my list", None)],
    "score": [("a man walks", "somebody is moving"), ("it is late", "the sun is at its highest"), ("yes", "no")],
}


def plan(kinds: Sequence[str]) -> contract.Plan:
    """A plan whose task files are nowhere: an export must do without them."""
    specs = {
        "lora": {"kind": "lora", "ranks": [1, 2], "scale": 2.0},
        "bottleneck": {"kind": "bottleneck", "sizes": [2], "activation": "gelu", "scale": 1.0},
        "ia3": {"kind": "ia3"},
        "normTuning": {"kind": "normTuning"},
        "dualLora": {"kind": "dualLora", "ranks": [2], "scale": 2.0, "orthogonality": 0.1},
        "generated": {"kind": "generated", "ranks": [2], "embedding": 3, "scale": 2.0},
        "tokenGate": {
            "kind": "tokenGate",
            "size": 2,
            "ratio": 0.5,
            "weight": 2.0,
            "temperature": 5.0,
            "start": 1.0,
            "activation": "relu",
            "scale": 1.0,
        },
    }
    training = {
        "epochs": 1,
        "maxSteps": 1,
        "batchSize": 16,
        "maxTokens": 4096,
        "learningRate": 3e-3,
        "schedule": "linear",
        "warmup": 0.06,
        "weightDecay": 0.01,
        "gradientClip": 1,
        "maxLength": 12,
        "pooling": "mean",
        "headInit": "zero",
        "earlyStopping": None,
        "device": "cpu",
        "threads": None,
    }
    slots = ["attention.key" if "ia3" in kinds else "attention.query", "mlp.down", "mlp"]
    if kinds == ("bottleneck",):
        slots = ["mlp"]
    columns = {"text": "text", "textPair": "text_pair", "label": "label"}
    files = {
        "source": "files",
        "metric": None,
        "columns": columns,
        "train": "/nowhere/train.jsonl",
        "validation": None,
        "test": "/nowhere/test.jsonl",
    }
    return contract.Plan.model_validate(
        {
            "version": 1,
            "name": "planted",
            "backbone": {"source": "embedded", "name": "minilm"},
            "tasks": [
                {"name": "intent", "kind": "classification", **files},
                {"name": "score", "kind": "regression", **files},
            ],
            "space": {
                "slots": slots,
                "layers": [1, 4],
                "kinds": [specs[kind] for kind in kinds],
            },
            "budget": {"parameters": 100_000},
            "methods": [{"method": "uniform", "name": "uniform", "kind": None}],
            "training": training,
            "seeds": [0, 1],
            "trials": [{"id": f"uniform-seed{seed}", "method": "uniform", "draw": 0, "seed": seed} for seed in (0, 1)],
        }
    )


def planted(
    root: Path, backbone: Backbone, *kinds: str, seed: int = 5, mixes: bool = False, unit: float = 1.0
) -> tuple[contract.Plan, RunDirectory]:
    """A run with one finished trial, whose adapters and heads are random; "score" uses every second candidate.

    `mixes`: its heads read a mix of all layers. `unit`: of what size the scores are.
    """
    given, directory = plan(kinds), RunDirectory(root)
    space = build_space(given.space, backbone.sites, len(TASKS))
    chosen = tuple(space.candidates)
    rows = (tuple(1.0 for _ in chosen), tuple(float(index % 2 == 0) for index in range(len(chosen))))
    structure = Structure("uniform", TASKS, 100_000, chosen, rows, tuple(tuple(1.0 for _ in chosen) for _ in TASKS))
    torch.manual_seed(seed)
    pool = AdapterPool(chosen, kinds_of(given.space.kinds, len(TASKS)), 0)
    for name, weight in pool.named_parameters():
        if not name.endswith(("down", "code")):
            torch.nn.init.normal_(weight, std=0.05)
    layers = backbone.layers + 1 if mixes else None
    heads = [
        ("intent", Head(backbone.hidden, 3, layers=layers)),
        ("score", Head(backbone.hidden, 1, location=2.5 * unit, scale=1.5 * unit, layers=layers)),
    ]
    for _, head in heads:
        torch.nn.init.normal_(head.linear.weight, std=0.3)
        if head.depth is not None:
            torch.nn.init.normal_(head.depth, std=0.1)
    native.save(
        directory.trial("uniform-seed0").adapter,
        native.AdapterCard(
            backbone=given.backbone,
            fingerprint=backbone.fingerprint,
            structure=to_record(structure, backbone, space),
            kinds=given.space.kinds,
            tasks=[
                native.TaskCard("intent", "classification", ("music", "weather", "list"), "accuracy"),
                native.TaskCard("score", "regression", (), "pearson"),
            ],
            pooling="mean",
            max_length=12,
            mixes=mixes,
        ),
        AdaptedModel(backbone, pool, heads, "mean"),
    )
    write_json(directory.examples, EXAMPLES)
    return given, directory
