"""The rows that a source delivers, checked and made into labelled texts."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from espalier_runtime import contract
from espalier_runtime.errors import InputError

#: What a label may be before it becomes a class or a value.
RawLabel = str | int | float | bool

DEFAULT_COLUMNS = contract.Columns()


@dataclass(frozen=True)
class SourceRow:
    """The fields of row `number` of `origin`, which ends in the word for a row: `... "train.jsonl" line`."""

    origin: str
    number: int
    fields: Mapping[str, object]

    @property
    def place(self) -> str:
        """Where the row stands, as messages call it."""
        return f"{self.origin} {self.number}"


@dataclass(frozen=True)
class LabelledText:
    """A row whose fields have been checked."""

    source: SourceRow
    text: str
    text_pair: str | None
    label: RawLabel


def labelled_texts(rows: Sequence[SourceRow], columns: contract.Columns) -> list[LabelledText]:
    """The rows of a classification or regression: text, second text and label read from `columns`.

    Raises InputError at the first row that lacks a text or a label, or where one has the wrong type.
    """
    named_pair = columns.text_pair != DEFAULT_COLUMNS.text_pair
    if named_pair and rows and not any(columns.text_pair in row.fields for row in rows):
        raise missing(rows[0], "textPair", columns.text_pair)
    return [_labelled_text(row, columns) for row in rows]


def are_pairs(rows: Sequence[LabelledText]) -> bool:
    """Whether all rows are pairs; raises InputError where only some are."""
    pair = next((row for row in rows if row.text_pair is not None), None)
    single = next((row for row in rows if row.text_pair is None), None)
    if pair is not None and single is not None:
        count = sum(row.text_pair is not None for row in rows)
        raise InputError(
            f"{single.source.place} is a single text, but {pair.source.place} is a pair:"
            f" {count} of the task's {len(rows)} rows have a second text",
            mend="Give every row of a task a second text, or none; split the file into two tasks otherwise.",
        )
    return pair is not None


def _labelled_text(row: SourceRow, columns: contract.Columns) -> LabelledText:
    text = row.fields.get(columns.text)
    if text is None:
        raise missing(row, "text", columns.text)
    text_pair = row.fields.get(columns.text_pair)
    label = row.fields.get(columns.label)
    if label is None or label == "":
        raise missing(row, "label", columns.label)
    if not isinstance(label, str | int | float):
        raise wrong_type(row, columns.label, label, "a string, a number, or true or false")
    if not isinstance(text, str):
        raise wrong_type(row, columns.text, text, "a string")
    if text_pair is not None and not isinstance(text_pair, str):
        raise wrong_type(row, columns.text_pair, text_pair, "a string")
    return LabelledText(row, text, text_pair, label)


def missing(row: SourceRow, role: str, column: str) -> InputError:
    """The error of a row that lacks the `column` that plays this role."""
    if column in row.fields:
        return InputError(
            f'{row.place} has an empty "{column}"', mend=f'Fill in the "{column}" of this row, or remove the row.'
        )
    found = ", ".join(f'"{name}"' for name in row.fields) or "none"
    nearest = difflib.get_close_matches(column, row.fields, n=1)
    guess = nearest[0] if nearest else "its name"
    return InputError(
        f'{row.place} has no "{column}"; its fields are {found}',
        mend=f'Rename the field, or say which one it is: columns: {{ {role}: "{guess}" }}.',
    )


def wrong_type(row: SourceRow, column: str, value: object, allowed: str) -> InputError:
    """The error of a row whose `column` holds something else than `allowed`."""
    given = repr(value) if len(repr(value)) <= 60 else repr(value)[:57] + "..."
    return InputError(f'{row.place}: "{column}" is {given}, but must be {allowed}', mend="Correct this row.")
