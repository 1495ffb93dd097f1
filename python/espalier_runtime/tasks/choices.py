"""The rows of a multiple choice: a text, its candidates, and which of them is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from espalier_runtime import contract
from espalier_runtime.errors import InputError
from espalier_runtime.tasks.rows import SourceRow, missing, wrong_type
from espalier_runtime.tasks.task import Example


def choice_rows(rows: Sequence[SourceRow], columns: contract.Columns) -> list[Example]:
    """The rows with text, candidates and label read from `columns`.

    Candidates are a list of texts, or {"text": [...], "label": [...]}, which names them. A label is a name, the text of
    a candidate, or its place from 0 on. Raises InputError at the first row that lacks one or has the wrong type.
    """
    return [_example(row, columns) for row in rows]


def _example(row: SourceRow, columns: contract.Columns) -> Example:
    text, given, label = (row.fields.get(name) for name in (columns.text, columns.choices, columns.label))
    for role, column, value in (
        ("text", columns.text, text),
        ("choices", columns.choices, given),
        ("label", columns.label, label),
    ):
        if value is None or value == "":
            raise missing(row, role, column)
    if not isinstance(text, str):
        raise wrong_type(row, columns.text, text, "a string")
    candidates, names = (given.get("text"), given.get("label")) if isinstance(given, Mapping) else (given, None)
    listed: Sequence[object] = candidates if isinstance(candidates, list | tuple) else ()
    texts = [one for one in listed if isinstance(one, str)]
    if len(texts) < 2 or len(texts) < len(listed):
        raise wrong_type(row, columns.choices, given, "a list of at least two texts")
    return Example(text, None, _place(row, label, texts, names), choices=tuple(texts))


def _place(row: SourceRow, label: object, candidates: Sequence[str], names: object) -> int:
    if isinstance(names, Sequence) and label in names:
        return names.index(label)
    if isinstance(label, str) and label in candidates:
        return candidates.index(label)
    place = _whole(label)
    if place is None or not 0 <= place < len(candidates):
        raise InputError(
            f"{row.place} has the label {label!r}, which is none of its {len(candidates)} candidates",
            mend=f"Give the text of a candidate, or its place: 0 to {len(candidates) - 1}.",
        )
    return place


def _whole(label: object) -> int | None:
    if isinstance(label, bool):
        return None
    try:
        value = float(str(label))
    except ValueError:
        return None
    return int(value) if value.is_integer() else None
