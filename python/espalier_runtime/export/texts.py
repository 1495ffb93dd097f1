"""Texts as one padded batch, as an exported model reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from espalier_runtime.backbone.depth import pooled_layers
from espalier_runtime.backbone.heads import Head, Pooling, pool
from espalier_runtime.backbone.inputs import Inputs
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.tasks.corpus import Batch, Corpus
from espalier_runtime.tasks.task import Example
from espalier_runtime.tasks.tokenise import Sequences, TokenIds, encode, encode_prompt

#: The texts and, where the task is one of pairs, their second texts.
Texts = Sequence[tuple[str, str | None]]


def batch_of(
    tokenizer: Any, texts: Texts, max_length: int, device: torch.device, task: int = 0, room: int | None = None
) -> Batch:
    """The rows of the task with id `task`, cut to `max_length` tokens and padded on the right to the longest.

    `room`: the texts are prompts, and so many of the tokens are left to what follows them.
    """
    ids: list[Sequences]
    if room is None:
        ids = [*encode(tokenizer, [Example(text, pair, 0) for text, pair in texts], max_length)]
    else:
        ids = [TokenIds(*_typed(tokenizer, prompt), False) for prompt in prompts_of(tokenizer, texts, max_length, room)]
    pad = tokenizer.pad_token_id or 0
    corpus = Corpus([""] * (task + 1), [(task, tokens, 0.0) for tokens in ids], pad, device)
    return corpus.batch(range(len(corpus)))


def prompts_of(tokenizer: Any, texts: Texts, max_length: int, room: int) -> list[list[int]]:
    """The token ids of prompts that leave `room` of `max_length` tokens."""
    return [encode_prompt(tokenizer, text, max_length - room)[0] for text, _ in texts]


def said(head: Head, backbone: Backbone, inputs: Inputs, pooling: Pooling) -> Tensor:
    """Logits (rows, classes) or values (rows, 1); of a language head the next token's probabilities (rows, vocabulary).

    `backbone` as it is adapted now.
    """
    if head.kind == "generation":
        logits: Tensor = head(inputs.layout.last(backbone.states(inputs)))
        return logits.softmax(-1)
    if head.depth is not None:
        return head.values(head.mixed(pooled_layers(backbone, inputs, pooling)))
    return head.values(pool(backbone.states(inputs), inputs.layout, pooling))


def _typed(tokenizer: Any, ids: list[int]) -> tuple[list[int], list[int] | None]:
    return ids, [0] * len(ids) if "token_type_ids" in tokenizer.model_input_names else None


def paired(texts: Sequence[str], pairs: Sequence[str] | None) -> Texts:
    """Each text with its second text."""
    seconds: Sequence[str | None] = [None] * len(texts) if pairs is None else pairs
    return list(zip(texts, seconds, strict=True))
