"""Reads the rows of a JSONL, CSV, TSV or Parquet file."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from espalier_runtime.errors import InputError
from espalier_runtime.tasks.rows import SourceRow

FORMATS = ".jsonl, .csv, .tsv (each also with .gz) or .parquet"


def read_rows(path: Path, field: str) -> list[SourceRow]:
    """All rows of the file; `field` is the experiment's field that names it, for messages.

    CSV and TSV have a header, quote as RFC 4180 says, and an empty cell counts as no value.
    Raises InputError where the file is missing, unreadable, empty, of an unknown or another format.
    """
    name = f'{field}: "{path}"'
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    try:
        match suffix.lower():
            case ".jsonl":
                rows = list(_json_lines(path, name))
            case ".csv":
                rows = list(_delimited(path, name, ","))
            case ".tsv":
                rows = list(_delimited(path, name, "\t"))
            case ".parquet" if path.suffix != ".gz":
                rows = _parquet(path, name)
            case _:
                raise InputError(
                    f"{name} is not in a format that can be read; allowed are {FORMATS}",
                    mend='Convert it to JSONL: one {"text": ..., "label": ...} a line.',
                )
    except FileNotFoundError as error:
        raise InputError(
            f"{name} does not exist", mend="Check the path; it is relative to the experiment's file."
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name} cannot be read: {error}", mend="Check that it is a whole, readable file.") from error
    if not rows:
        raise InputError(f"{name} has no rows", mend="Give a file with at least one row.")
    return rows


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _lines(path: Path, name: str) -> Iterator[str]:
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise InputError(
                    f"{name} line {number} is not UTF-8 (byte {error.object[error.start]:#04x})",
                    mend="Save the file as UTF-8.",
                ) from error


def _json_lines(path: Path, name: str) -> Iterator[SourceRow]:
    for number, line in enumerate(_lines(path, name), start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except ValueError as error:
            raise InputError(
                f"{name} line {number} is not JSON: {error}", mend="Write one JSON object a line, and nothing else."
            ) from error
        if not isinstance(fields, dict):
            raise InputError(
                f"{name} line {number} is not a JSON object but {line.strip()[:40]}",
                mend='Write one object a line, such as {"text": "...", "label": "..."}.',
            )
        yield SourceRow(f"{name} line", number, fields)


def _delimited(path: Path, name: str, delimiter: str) -> Iterator[SourceRow]:
    # Strict, because a lenient reader lets one stray quote swallow the rows after it.
    reader = csv.reader(_lines(path, name), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    try:
        for cells in reader:
            if not cells:
                continue
            if header is None:
                header = _checked_header(cells, name)
                continue
            if len(cells) != len(header):
                raise InputError(
                    f"{name} line {reader.line_num} has {len(cells)} cells, but the header has {len(header)}",
                    mend="Quote cells that contain the separator, a quote or a line break.",
                )
            fields = {column: cell or None for column, cell in zip(header, cells, strict=True)}
            yield SourceRow(f"{name} line", reader.line_num, fields)
    except csv.Error as error:
        raise InputError(
            f"{name} line {reader.line_num} cannot be read: {error}",
            mend='Put cells that contain quotes into quotes and double them (""), or write the file as JSONL.',
        ) from error


def _checked_header(cells: list[str], name: str) -> list[str]:
    twice = next((cell for cell in cells if cells.count(cell) > 1), None)
    if twice is not None:
        raise InputError(f'{name} has two columns called "{twice}"', mend="Rename one of them.")
    return cells


def _parquet(path: Path, name: str) -> list[SourceRow]:
    import pyarrow
    import pyarrow.parquet

    with path.open("rb") as file:
        try:
            table = pyarrow.parquet.read_table(file)
        except pyarrow.ArrowException as error:
            raise InputError(f"{name} is not a Parquet file: {error}", mend="Write the file again.") from error
    return [SourceRow(f"{name} row", number, fields) for number, fields in enumerate(table.to_pylist(), start=1)]
