"""Texts as one padded batch, as an exported model reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from espalier_runtime.tasks.corpus import Batch, Corpus
from espalier_runtime.tasks.task import Example
from espalier_runtime.tasks.tokenise import encode

#: The texts and, where the task is one of pairs, their second texts.
Texts = Sequence[tuple[str, str | None]]


def batch_of(tokenizer: Any, texts: Texts, max_length: int, device: torch.device, task: int = 0) -> Batch:
    """The rows of the task with id `task`, cut to `max_length` tokens and padded on the right to the longest."""
    ids = encode(tokenizer, [Example(text, pair, 0) for text, pair in texts], max_length)
    pad = tokenizer.pad_token_id or 0
    corpus = Corpus([""] * (task + 1), [(task, tokens, 0.0) for tokens in ids], pad, device)
    return corpus.batch(range(len(corpus)))


def paired(texts: Sequence[str], pairs: Sequence[str] | None) -> Texts:
    """Each text with its second text."""
    seconds: Sequence[str | None] = [None] * len(texts) if pairs is None else pairs
    return list(zip(texts, seconds, strict=True))
