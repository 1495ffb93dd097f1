"""Reads a split of a dataset of the Hub through `datasets`."""

from __future__ import annotations

from typing import Any

from espalier_runtime import contract
from espalier_runtime.errors import InputError
from espalier_runtime.tasks.rows import SourceRow


def read_split(spec: contract.HubTask, split: str) -> list[SourceRow]:
    """The rows of the split, with class numbers replaced by the class names that the dataset states.

    Raises InputError where neither the Hub nor its cache has it, or where it has no labels.
    """
    table = _load(spec, split)
    label = spec.columns.label
    names = getattr(table.features.get(label), "names", None)
    rows = [SourceRow(f"tasks.{spec.name}: {spec.id} {split} row", i, row) for i, row in enumerate(table, start=1)]
    if not rows:
        raise InputError(f'tasks.{spec.name}: the split "{split}" of "{spec.id}" has no rows', mend="Name another.")
    return rows if names is None or spec.kind == "generation" else [_with_class_name(row, label, names) for row in rows]


def _with_class_name(row: SourceRow, label: str, names: list[str]) -> SourceRow:
    index = row.fields[label]
    if not isinstance(index, int) or not 0 <= index < len(names):
        raise InputError(
            f'{row.place} has no label ("{label}" is {index}); public test splits often hide them',
            mend="Name a split that has labels, such as validation.",
        )
    return SourceRow(row.origin, row.number, {**row.fields, label: names[index]})


def _load(spec: contract.HubTask, split: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise InputError(
            f'tasks.{spec.name}: reading "{spec.id}" from the Hub needs the Python package datasets',
            mend="Run `espalier setup`, or give files instead: task.files(name, { train, validation }).",
        ) from error
    datasets.disable_progress_bars()
    try:
        return datasets.load_dataset(spec.id, name=spec.config, revision=spec.revision, split=split)
    except Exception as error:
        # The Hub's client, HTTP, file system and format readers each raise types of their own.
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f'tasks.{spec.name}: the split "{split}" of "{spec.id}" (config {spec.config or "default"}, revision'
            f' "{spec.revision}") could not be loaded from the Hub or its cache'
            f" {datasets.config.HF_DATASETS_CACHE}: {reason}",
            mend="Check the names and the network, or give files instead: task.files(name, { train, validation }).",
        ) from error
