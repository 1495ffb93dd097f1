"""The rows of a generation: a prompt, and the completion that is to follow it."""

from __future__ import annotations

from collections.abc import Sequence

from espalier_runtime import contract
from espalier_runtime.tasks.rows import SourceRow, missing, wrong_type
from espalier_runtime.tasks.task import Example


def prompts(rows: Sequence[SourceRow], columns: contract.Columns) -> list[Example]:
    """The rows with prompt and completion read from `columns`.

    Raises InputError at the first row that lacks one, or where one is no text.
    """
    return [
        Example(_text(row, "prompt", columns.prompt), None, 1, completion=_text(row, "completion", columns.completion))
        for row in rows
    ]


def _text(row: SourceRow, role: str, column: str) -> str:
    value = row.fields.get(column)
    if value is None or value == "":
        raise missing(row, role, column)
    if not isinstance(value, str):
        raise wrong_type(row, column, value, "a string")
    return value
