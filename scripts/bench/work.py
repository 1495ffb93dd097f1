"""The rows that every case trains on, and the batches that they come in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from espalier_runtime import contract
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.tasks.corpus import Batch, Corpus
from espalier_runtime.tasks.load import load_task
from espalier_runtime.tasks.task import Example
from espalier_runtime.tasks.tokenise import TokenIds, encode

#: Seconds of training on all of the batches once.
Case = Callable[[], float]

#: Rows that an accuracy is counted on.
HELD_OUT = 300
#: Tokens that a row is cut to.
MAX_LENGTH = {"boolq": 256}
NO_COLUMNS = contract.Columns(text="text", text_pair="text_pair", label="label")


@dataclass(frozen=True)
class Learner:
    """What trains on the batches: an `epoch` once over all of them, and the `accuracy` on the rows held out."""

    epoch: Case
    accuracy: Callable[[], float]


@dataclass(frozen=True)
class Work:
    """A random draw of a task's training rows, as whole batches in a random order.

    `bucketed` are the same rows, with those of like length together. `packed` and `padded` are one corpus laid in the
    two ways. `held_out` are rows of the evaluation split, which nothing is trained on. `training_rows`: all that the
    task has.
    """

    task: str
    classes: int
    training_rows: int
    packed: Corpus
    batches: list[list[int]]
    bucketed: list[list[int]]
    held_out: Corpus
    pad_id: int

    @property
    def padded(self) -> Corpus:
        return self.packed.padded()

    @property
    def tokens(self) -> int:
        """Of all rows, without padding."""
        return sum(self.packed.lengths)

    @property
    def held_out_batches(self) -> list[list[int]]:
        """The rows held out, of like length together."""
        return self.held_out.in_parts(4096)

    def batch(self, rows: Sequence[int]) -> Batch:
        """The rows as one padded batch."""
        return self.padded.batch(rows)


def load_work(task: str, backbone: Backbone, data: Path | None, batch_size: int, count: int, seed: int = 0) -> Work:
    """`count` batches of `task`, read from `data`/TASK/train.jsonl, or embedded."""
    source: contract.FilesTask | contract.EmbeddedTask
    if data is not None:
        folder = data / task
        source = contract.FilesTask(
            name=task,
            source="files",
            train=str(folder / "train.jsonl"),
            validation=str(folder / "validation.jsonl"),
            columns=NO_COLUMNS,
        )
    else:
        source = contract.EmbeddedTask(name=task, kind="classification", metric=None, source="embedded", id=task)
    loaded = load_task(source)
    chance = np.random.default_rng(seed)

    def drawn(examples: Sequence[Example], rows: int) -> Corpus:
        some = [examples[index] for index in chance.permutation(len(examples))[:rows]]
        ids = encode(backbone.tokenizer, some, MAX_LENGTH.get(task, 128))
        labelled: list[tuple[int, TokenIds, float]] = [
            (0, tokens, float(example.label)) for tokens, example in zip(ids, some, strict=True)
        ]
        return Corpus(
            [task], labelled, backbone.tokenizer.pad_token_id or 0, torch.device(backbone.device), packed=True
        )

    corpus = drawn(loaded.train, batch_size * count)
    whole = len(corpus) - len(corpus) % batch_size
    by_length = sorted(range(whole), key=lambda row: corpus.lengths[row])
    buckets = [by_length[start : start + batch_size] for start in range(0, whole, batch_size)]
    return Work(
        task=task,
        classes=len(loaded.labels),
        training_rows=len(loaded.train),
        packed=corpus,
        batches=[list(range(start, start + batch_size)) for start in range(0, whole, batch_size)],
        bucketed=[buckets[index] for index in chance.permutation(len(buckets))],
        held_out=drawn(loaded.evaluation, HELD_OUT),
        pad_id=backbone.tokenizer.pad_token_id or 0,
    )
