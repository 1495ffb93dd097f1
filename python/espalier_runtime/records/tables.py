"""Parquet tables whose columns the contract documents."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from espalier_runtime.records.files import write_atomic

if TYPE_CHECKING:
    import pyarrow as pa


def write_table(path: Path, model: type[BaseModel], columns: Mapping[str, Sequence[object]]) -> None:
    """Writes columns, all of one length, as Parquet with the columns of `model` and no other.

    The file says itself what a column holds: its description is in the field's metadata. Raises ValueError where
    `columns` are not those of the model.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = schema_of(model)
    if set(columns) != set(schema.names):
        raise ValueError(f"{path.name} has the columns {', '.join(schema.names)}; given: {', '.join(columns)}")
    table = pa.table({name: columns[name] for name in schema.names}, schema=schema)
    write_atomic(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))


def write_rows(path: Path, model: type[BaseModel], rows: Sequence[Mapping[str, object]]) -> None:
    """The same from rows, each checked against `model`; without any the table is empty, and has its columns."""
    checked = [model.model_validate(row).model_dump() for row in rows]
    write_table(path, model, {name: [row[name] for row in checked] for name in model.model_fields})


def flat(record: BaseModel) -> dict[str, object]:
    """{"stepMs": {"measured": 1}} as {"step_ms_measured": 1}; an interval as two columns; words as numbers.

    What is a list of records is no column, and left out.
    """
    return _flat(record, "")


def schema_of(model: type[BaseModel]) -> pa.Schema:
    """The Arrow schema of a table of the contract."""
    import pyarrow as pa

    fields = []
    for name, field in model.model_fields.items():
        arrow, nullable = _arrow(field.annotation)
        fields.append(pa.field(name, arrow, nullable, {"description": field.description or ""}))
    return pa.schema(fields)


def _flat(record: BaseModel, prefix: str) -> dict[str, object]:
    row: dict[str, object] = {}
    for key, field in type(record).model_fields.items():
        value, name = getattr(record, key), prefix + key
        part = _part(field.annotation)
        if part is not None and get_origin(field.annotation) is list:
            continue
        if key == "ci95":
            low, high = (None, None) if value is None else value
            row |= {f"{name}_low": _number(low), f"{name}_high": _number(high)}
        elif isinstance(value, BaseModel):
            row |= _flat(value, f"{name}_")
        elif part is not None:
            row |= {f"{name}_{inner}": None for inner in part.model_fields}
        else:
            row[name] = _number(value)
    return row


def _part(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds, or would hold if it were there."""
    options = get_args(annotation) or (annotation,)
    return next((entry for entry in options if isinstance(entry, type) and issubclass(entry, BaseModel)), None)


def _number(value: object) -> object:
    """A number of a record, in which NaN and the infinities are words."""
    return float(str(value)) if value in ("NaN", "Infinity", "-Infinity") else value


def _arrow(annotation: Any) -> tuple[pa.DataType, bool]:
    """Arrow's type of a column, and whether it may be null."""
    import pyarrow as pa

    if get_origin(annotation) in (Union, types.UnionType):
        (inner,) = (entry for entry in get_args(annotation) if entry is not types.NoneType)
        return _arrow(inner)[0], True
    if get_origin(annotation) is list:
        return pa.list_(_arrow(get_args(annotation)[0])[0]), False
    if get_origin(annotation) is Literal:
        return pa.string(), False
    return {str: pa.string(), float: pa.float64(), int: pa.int64(), bool: pa.bool_()}[annotation], False
