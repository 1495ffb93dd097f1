"""What the timing scripts work on: MiniLM, the rows of both embedded tasks, and LoRA at each of its linears."""

from __future__ import annotations

import torch

from espalier_runtime import contract
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.tasks.load import load_task
from espalier_runtime.tasks.tokenise import encode

SLOTS = ["attention.query", "attention.key", "attention.value", "attention.output", "mlp.up", "mlp.down"]
EMBEDDED = contract.EmbeddedBackbone(source="embedded", name="minilm")


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
