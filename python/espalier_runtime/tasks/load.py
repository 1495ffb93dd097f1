"""Loads a task: reads its splits, checks every row, and encodes the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from espalier_runtime import contract
from espalier_runtime.errors import InputError
from espalier_runtime.tasks import hub
from espalier_runtime.tasks.choices import choice_rows
from espalier_runtime.tasks.files import read_rows
from espalier_runtime.tasks.labels import check_spread, class_indices, class_names, values
from espalier_runtime.tasks.metrics import default_metric
from espalier_runtime.tasks.prompts import prompts
from espalier_runtime.tasks.rows import DEFAULT_COLUMNS, LabelledText, SourceRow, are_pairs, labelled_texts
from espalier_runtime.tasks.task import EvaluationSplit, Example, TaskData, TaskKind, fingerprint

TaskSpec = contract.FilesTask | contract.EmbeddedTask | contract.HubTask | contract.RowsTask

T = TypeVar("T")

EMBEDDED_FOLDER = Path(__file__).parent.parent / "embedded"
#: The split each embedded task is evaluated on.
EMBEDDED_EVALUATION: dict[str, EvaluationSplit] = {"snips": "test", "qnli": "validation"}


def load_task(spec: TaskSpec) -> TaskData:
    """The task that `spec` names; the evaluation split is test where there is one, else validation.

    Rows that evaluation shares with train are counted in a warning. Raises InputError where a source cannot be read,
    a row is malformed, training has a single class or value, evaluation has a class that training lacks, or the task
    mixes pairs and single texts.
    """
    source = _read(spec)
    labels: tuple[str, ...] = ()
    pairs = False
    match spec.kind:
        case "generation":
            train, evaluation = (prompts(rows, source.columns) for rows in (source.train, source.evaluation))
        case "multipleChoice":
            train, evaluation = (choice_rows(rows, source.columns) for rows in (source.train, source.evaluation))
        case _:
            train, evaluation, labels, pairs = _labelled(source, spec.kind)
    return TaskData(
        name=spec.name,
        kind=spec.kind,
        pairs=pairs,
        labels=labels,
        train=train,
        evaluation=evaluation,
        evaluation_split=source.evaluation_split,
        metric=spec.metric or default_metric(spec.kind),
        warnings=_warnings(spec.name, train, evaluation, source.evaluation_split),
        fingerprint=fingerprint(spec.kind, labels, train, evaluation),
        max_new_tokens=spec.max_new_tokens,
    )


@dataclass(frozen=True)
class _Source:
    train: list[SourceRow]
    evaluation: list[SourceRow]
    evaluation_split: EvaluationSplit
    columns: contract.Columns


def _labelled(source: _Source, kind: TaskKind) -> tuple[list[Example], list[Example], tuple[str, ...], bool]:
    """Train and evaluation of a classification or regression, its class names, and whether the rows are pairs."""
    train = labelled_texts(source.train, source.columns)
    evaluation = labelled_texts(source.evaluation, source.columns)
    pairs = are_pairs([*train, *evaluation])
    if kind == "classification":
        labels = class_names(train)
        found = [_examples(rows, class_indices(rows, labels)) for rows in (train, evaluation)]
        return found[0], found[1], labels, pairs
    train_values = values(train)
    check_spread(train, train_values)
    return _examples(train, train_values), _examples(evaluation, values(evaluation)), (), pairs


def _read(spec: TaskSpec) -> _Source:
    field = f"tasks.{spec.name}"
    match spec:
        case contract.FilesTask():
            split, path = _evaluation_split(spec.name, spec.test, spec.validation)
            train = read_rows(Path(spec.train), f"{field}.train")
            return _Source(train, read_rows(Path(path), f"{field}.{split}"), split, spec.columns)
        case contract.RowsTask():
            split, rows = _evaluation_split(spec.name, spec.test, spec.validation)
            return _Source(
                _given_rows(spec.train, f"{field}.train"),
                _given_rows(rows, f"{field}.{split}"),
                split,
                DEFAULT_COLUMNS,
            )
        case contract.EmbeddedTask():
            split = EMBEDDED_EVALUATION[spec.id]
            train, evaluation = (
                read_rows(EMBEDDED_FOLDER / f"{spec.id}.{part}.jsonl.gz", field) for part in ("train", split)
            )
            return _Source(train, evaluation, split, DEFAULT_COLUMNS)
        case contract.HubTask():
            split = "test" if spec.evaluation == "test" else "validation"
            train, evaluation = (hub.read_split(spec, part) for part in (spec.train, spec.evaluation))
            return _Source(train, evaluation, split, spec.columns)


def _evaluation_split(name: str, test: T | None, validation: T | None) -> tuple[EvaluationSplit, T]:
    if test is not None:
        return "test", test
    if validation is not None:
        return "validation", validation
    raise InputError(
        f"tasks.{name} has neither test nor validation, so nothing could be evaluated",
        mend="Give one of them; choices are made on a part of train, so neither is used for training.",
    )


def _given_rows(rows: Sequence[contract.Row | contract.PromptRow | contract.ChoiceRow], field: str) -> list[SourceRow]:
    fields = [row.model_dump(exclude_none=True) for row in rows]
    return [SourceRow(f"{field} row", number, row) for number, row in enumerate(fields, start=1)]


def _examples(rows: Sequence[LabelledText], labels: Sequence[int | float]) -> list[Example]:
    return [Example(row.text, row.text_pair, label) for row, label in zip(rows, labels, strict=True)]


def _warnings(
    name: str, train: Sequence[Example], evaluation: Sequence[Example], split: EvaluationSplit
) -> tuple[str, ...]:
    seen = {(row.text, row.text_pair, row.choices) for row in train}
    shared = sum((row.text, row.text_pair, row.choices) in seen for row in evaluation)
    if shared == 0:
        return ()
    return (
        f'task "{name}": {shared} of the {len(evaluation)} {split} rows are also in train, word for word,'
        " so the score flatters every method",
    )
