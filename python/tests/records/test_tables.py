"""Parquet tables whose columns the contract documents."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from espalier_runtime import contract
from espalier_runtime.records.tables import flat, schema_of, write_rows, write_table

COMPARISON = contract.Comparison.model_validate(
    {
        "task": "trec",
        "a": "budgeted",
        "b": "uniform",
        "difference": 0.01,
        "ci95": [-0.01, 0.03],
        "p": 0.2,
        "pAdjusted": 0.4,
        "verdict": "cannot be told apart",
    }
)
TABLES = [contract.ResultTable, contract.ComparisonTable, contract.PredictionTable, contract.GateTable]


def test_a_table_reads_back_as_written(tmp_path: Path) -> None:
    columns = {
        "task": ["a", "a"],
        "row": [0, 1],
        "label": [1.0, 0.0],
        "prediction": [1.0, 1.0],
        "outputs": [[1.0], []],
        "text": [None, "walked"],
        "reference": [None, "walked"],
    }
    write_table(tmp_path / "t.parquet", contract.PredictionTable, columns)
    read = pq.read_table(tmp_path / "t.parquet")
    assert read.to_pydict() == columns
    numbers = [pa.int64(), pa.float64(), pa.float64(), pa.list_(pa.float64())]
    assert read.schema.types == [pa.string(), *numbers, pa.string(), pa.string()]


@pytest.mark.parametrize("table", TABLES)
def test_every_column_of_every_table_is_described(table: type) -> None:
    for field in schema_of(table):
        text = field.metadata[b"description"].decode()
        assert len(text) > 10, field.name
        assert ("null" in text) == field.nullable, field.name


def test_the_file_says_what_its_columns_hold(tmp_path: Path) -> None:
    write_rows(tmp_path / "t.parquet", contract.ComparisonTable, [flat(COMPARISON)])
    field = pq.read_schema(tmp_path / "t.parquet").field("p_adjusted")
    assert field.metadata[b"description"] == b"Holm-corrected over all comparisons of the run"


def test_a_table_without_rows_has_its_columns(tmp_path: Path) -> None:
    write_rows(tmp_path / "t.parquet", contract.ComparisonTable, [])
    read = pq.read_table(tmp_path / "t.parquet")
    assert (read.num_rows, read.schema.names) == (0, list(contract.ComparisonTable.model_fields))


def test_an_interval_is_two_columns_and_a_word_is_a_number() -> None:
    row = flat(COMPARISON)
    assert (row["ci95_low"], row["ci95_high"], row["p_adjusted"]) == (-0.01, 0.03, 0.4)
    assert flat(COMPARISON.model_copy(update={"difference": "Infinity"}))["difference"] == float("inf")


def test_columns_that_are_not_the_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"t\.parquet has the columns task, row, .*; given: task, more"):
        write_table(tmp_path / "t.parquet", contract.PredictionTable, {"task": [], "more": []})
    with pytest.raises(ValidationError, match="more"):
        write_rows(tmp_path / "t.parquet", contract.ComparisonTable, [{**flat(COMPARISON), "more": 1}])
    assert not list(tmp_path.iterdir())
