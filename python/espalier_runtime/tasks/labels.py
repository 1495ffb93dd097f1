"""From labels as files give them to class indices and values."""

from __future__ import annotations

import math
from collections.abc import Sequence

from espalier_runtime.errors import InputError
from espalier_runtime.tasks.rows import LabelledText


def class_names(train: Sequence[LabelledText]) -> tuple[str, ...]:
    """The classes that occur in `train`: in numeric order if all are numbers, else alphabetically.

    True and false are the classes "true" and "false", and 1, 1.0 and "1" are one class.
    Raises InputError where there are fewer than two.
    """
    names = {_class_name(row) for row in train}
    if len(names) < 2:
        raise InputError(
            f'all {len(train)} training rows, from {train[0].source.place} on, have the label "{min(names)}",'
            " but a classification needs at least two classes",
            mend="Add rows of other classes, or name the column that holds the label: columns: { label: ... }.",
        )
    return tuple(sorted(names, key=_number if all(_is_number(name) for name in names) else str))


def class_indices(rows: Sequence[LabelledText], classes: Sequence[str]) -> list[int]:
    """The index in `classes` of each row's label; raises InputError at a label that is not among them."""
    index = {name: place for place, name in enumerate(classes)}
    indices = []
    for row in rows:
        name = _class_name(row)
        if name not in index:
            shown = ", ".join(f'"{known}"' for known in classes[:20]) + (", ..." if len(classes) > 20 else "")
            raise InputError(
                f'{row.source.place} has the label "{name}", which no training row has; training has {shown}',
                mend="Correct the label, remove the row, or add training rows of this class.",
            )
        indices.append(index[name])
    return indices


def values(rows: Sequence[LabelledText]) -> list[float]:
    """The labels as finite numbers; raises InputError at one that is not."""
    return [_value(row) for row in rows]


def check_spread(train: Sequence[LabelledText], labels: Sequence[float]) -> None:
    """Raises InputError where every training label of a regression is the same number."""
    if min(labels) == max(labels):
        raise InputError(
            f"all {len(labels)} training rows, from {train[0].source.place} on, have the label {labels[0]:g},"
            " but a regression needs at least two different values",
            mend="Add rows with other values, or name the column that holds the label: columns: { label: ... }.",
        )


def _class_name(row: LabelledText) -> str:
    label = row.label
    if isinstance(label, bool):
        return "true" if label else "false"
    if isinstance(label, float):
        if not math.isfinite(label):
            raise InputError(
                f"{row.source.place} has the label {label}, which is no class",
                mend="Correct the label, or remove the row.",
            )
        return str(int(label)) if label.is_integer() else repr(label)
    return str(label)


def _value(row: LabelledText) -> float:
    try:
        value = math.nan if isinstance(row.label, bool) else float(row.label)
    except (ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        given = f'"{row.label}"' if isinstance(row.label, str) else str(row.label).lower()
        raise InputError(
            f"{row.source.place} has the label {given}, but a regression needs a finite number",
            mend='Correct the label, or set kind: "classification" if these are classes.',
        )
    return value


def _is_number(name: str) -> bool:
    try:
        return math.isfinite(float(name))
    except ValueError:
        return False


def _number(name: str) -> tuple[float, str]:
    return float(name), name
