"""Reading rows from files."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from espalier_runtime.errors import InputError
from espalier_runtime.tasks.files import read_rows

ROWS = [{"text": 'say "é"', "label": "a"}, {"text": "two,\nlines", "label": "b"}]


def write(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


JSONL = '{"text": "say \\"é\\"", "label": "a"}\n\n{"text": "two,\\nlines", "label": "b"}'
CSV = 'text,label\n"say ""é""",a\n"two,\nlines",b\n'


@pytest.mark.parametrize(
    ("name", "content", "numbers"),
    [
        ("t.jsonl", JSONL.encode(), [1, 3]),
        ("t.jsonl", b"\xef\xbb\xbf" + JSONL.encode(), [1, 3]),
        ("t.jsonl.gz", gzip.compress(JSONL.encode(), mtime=0), [1, 3]),
        ("t.csv", CSV.encode(), [2, 4]),
        ("t.csv.gz", gzip.compress(CSV.encode(), mtime=0), [2, 4]),
        ("t.tsv", 'text\tlabel\n"say ""é"""\ta\n"two,\nlines"\tb\n'.encode(), [2, 4]),
    ],
)
def test_the_same_rows_come_from_every_text_format(
    tmp_path: Path, name: str, content: bytes, numbers: list[int]
) -> None:
    rows = read_rows(write(tmp_path, name, content), "train")
    assert [row.fields for row in rows] == ROWS
    assert [row.number for row in rows] == numbers


def test_the_same_rows_come_from_parquet(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "t.parquet")
    rows = read_rows(tmp_path / "t.parquet", "train")
    assert [row.fields for row in rows] == ROWS
    assert rows[1].place == f'train: "{tmp_path / "t.parquet"}" row 2'


def test_an_empty_cell_is_no_value(tmp_path: Path) -> None:
    rows = read_rows(write(tmp_path, "t.csv", "text,text_pair,label\na,,1\n"), "train")
    assert rows[0].fields == {"text": "a", "text_pair": None, "label": "1"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.jsonl", "", "has no rows"),
        ("t.jsonl", "\n\n", "has no rows"),
        ("t.csv", "text,label\n", "has no rows"),
        ("t.jsonl", '{"text": "a"}\n{"text": \n', "line 2 is not JSON: Expecting value"),
        ("t.jsonl", '{"text": "a"}\n[1]\n', r"line 2 is not a JSON object but \[1\]"),
        ("t.jsonl", b'{"text": "a"}\n{"text": "\xe9"}\n', "line 2 is not UTF-8 .byte 0xe9"),
        ("t.csv", "text,label\na,b,c\n", "line 2 has 3 cells, but the header has 2"),
        ("t.csv", "text,text,label\na,b,c\n", 'has two columns called "text"'),
        ("t.tsv", 'text\tlabel\n"Who" is it\ta\n', "line 2 cannot be read"),
        ("t.csv", 'text,label\n"a,b\nc,d\n', "line 3 cannot be read: unexpected end of data"),
        ("t.json", "[]", r"is not in a format that can be read; allowed are \.jsonl"),
        ("t.parquet", "PAR?", "is not a Parquet file"),
        ("t.jsonl.gz", "plain", "cannot be read: Not a gzipped file"),
        ("t.jsonl.gz", gzip.compress(JSONL.encode(), mtime=0)[:30], "cannot be read"),
    ],
)
def test_a_broken_file_is_an_error_that_names_file_and_line(
    tmp_path: Path, name: str, content: bytes | str, message: str
) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(InputError, match=re.escape(f'tasks.x.train: "{path}" ') + message) as caught:
        read_rows(path, "tasks.x.train")
    assert caught.value.mend


def test_a_missing_file_and_a_folder_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_rows(tmp_path / "none.jsonl", "train")
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        read_rows(tmp_path / "folder.jsonl", "train")
