"""What a loaded task is: examples with encoded labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

TaskKind = Literal["classification", "regression", "multipleChoice", "generation"]
EvaluationSplit = Literal["test", "validation"]


@dataclass(frozen=True)
class Example:
    """One text, or a pair of texts; `label` is the index of its class or of its choice, or the value of a regression.

    `choices` are the candidates of a multiple choice. `completion` is what is to follow the text of a generation, whose
    label is 1: the score of saying just that.
    """

    text: str
    text_pair: str | None
    label: int | float
    choices: tuple[str, ...] = ()
    completion: str | None = None


@dataclass(frozen=True)
class TaskData:
    """A task, checked and ready to be tokenised.

    `pairs` says whether every example is a pair. `labels` are the class names in the order of their indices, numbers
    in numeric order and other names alphabetically; other kinds have none. `evaluation` comes from the split that
    `evaluation_split` names. `fingerprint` is the sha256 of kind, labels and all examples in order.
    `max_new_tokens` limits the completions of a generation.
    """

    name: str
    kind: TaskKind
    pairs: bool
    labels: tuple[str, ...]
    train: list[Example]
    evaluation: list[Example]
    evaluation_split: EvaluationSplit
    metric: str
    warnings: tuple[str, ...]
    fingerprint: str
    max_new_tokens: int = 0

    @property
    def evaluation_fingerprint(self) -> str:
        """The sha256 of kind, labels and the evaluated examples in order."""
        return fingerprint(self.kind, self.labels, self.evaluation)


def fingerprint(kind: TaskKind, labels: tuple[str, ...], *splits: Sequence[Example]) -> str:
    """The sha256 of kind, labels and all examples of the splits in order."""
    digest = hashlib.sha256(json.dumps([kind, labels]).encode())
    for split in splits:
        digest.update(b"\nsplit")
        for example in split:
            parts: list[object] = [example.text, example.text_pair, example.label]
            # Only where there are any, so that the fingerprint of labelled texts is what it ever was.
            parts += [part for part in (example.choices, example.completion) if part]
            digest.update(b"\n" + json.dumps(parts).encode())
    return digest.hexdigest()
