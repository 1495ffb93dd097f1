"""What a loaded task is: examples with encoded labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

TaskKind = Literal["classification", "regression"]
EvaluationSplit = Literal["test", "validation"]


@dataclass(frozen=True)
class Example:
    """One text, or a pair of texts; `label` is the index of its class, or the value of a regression."""

    text: str
    text_pair: str | None
    label: int | float


@dataclass(frozen=True)
class TaskData:
    """A task, checked and ready to be tokenised.

    `pairs` says whether every example is a pair. `labels` are the class names in the order of their indices, numbers
    in numeric order and other names alphabetically; a regression has none. `evaluation` comes from the split that
    `evaluation_split` names. `fingerprint` is the sha256 of kind, labels and all examples in order.
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
            digest.update(b"\n" + json.dumps([example.text, example.text_pair, example.label]).encode())
    return digest.hexdigest()
