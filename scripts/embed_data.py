"""Writes the embedded tasks, samples of SNIPS and QNLI, into python/espalier_runtime/embedded.

    python scripts/embed_data.py            python scripts/embed_data.py --check

Reads ../shared/data. Rows are drawn by class in proportion, with a fixed seed; of QNLI only pairs of at most
QNLI_PIECES word pieces take part, and train shares no text, question or sentence with evaluation. `--check` writes
nothing and fails where a file differs.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "python"))

from espalier_runtime import contract  # noqa: E402
from espalier_runtime.backbone.load import load_backbone  # noqa: E402
from espalier_runtime.tasks.batching import carve  # noqa: E402
from espalier_runtime.tasks.task import Example  # noqa: E402
from espalier_runtime.tasks.tokenise import encode  # noqa: E402

SOURCE = ROOT.parent / "shared" / "data"
OUTPUT = ROOT / "python" / "espalier_runtime" / "embedded"
SEED = 0
TRAIN_ROWS, EVALUATION_ROWS = 1000, 500
#: The smallest limit, in MiniLM's word pieces with special tokens, that leaves enough pairs in both splits.
QNLI_PIECES = 42


def embedded_files(source: Path) -> dict[str, bytes]:
    """Name and uncompressed content of each embedded file, made from the task folders in `source`."""
    files = {}
    for task, evaluation, pieces in (("snips", "test", None), ("qnli", "validation", QNLI_PIECES)):
        names = json.loads((source / "index.json").read_text())[task]["labels"]
        evaluation_rows = _draw(_rows(source / task / f"{evaluation}.jsonl", pieces), EVALUATION_ROWS)
        seen = {text for row in evaluation_rows for text in _texts(row)}
        apart = [row for row in _rows(source / task / "train.jsonl", pieces) if seen.isdisjoint(_texts(row))]
        for split, rows in (("train", _draw(apart, TRAIN_ROWS)), (evaluation, evaluation_rows)):
            named = [{**row, "label": names[row["label"]]} for row in rows]
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in named)
            files[f"{task}.{split}.jsonl.gz"] = text.encode()
    return files


def compressed(content: bytes) -> bytes:
    """The content as gzip without a time or a name, so that equal content gives equal bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as file:
        file.write(content)
    return buffer.getvalue()


def _rows(path: Path, pieces: int | None) -> list[dict[str, Any]]:
    """The distinct rows of the file, of at most `pieces` word pieces."""
    rows = list({_texts(row): row for row in map(json.loads, path.read_text().splitlines())}.values())
    if pieces is None:
        return rows
    tokens = encode(_tokenizer(), [Example(row["text"], row.get("text_pair"), 0) for row in rows], pieces)
    return [row for row, ids in zip(rows, tokens, strict=True) if not ids.truncated]


@functools.cache
def _tokenizer() -> Any:
    return load_backbone(contract.EmbeddedBackbone(source="embedded", name="minilm")).tokenizer


def _texts(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(row[field] for field in ("text", "text_pair") if field in row)


def _draw(rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    _, drawn = carve(len(rows), count / len(rows), SEED, [row["label"] for row in rows])
    return [rows[index] for index in np.random.default_rng(SEED).permutation(drawn)]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true", help="compare, write nothing")
    check = arguments.parse_args().check
    stale = []
    for name, content in embedded_files(SOURCE).items():
        path = OUTPUT / name
        if path.exists() and gzip.decompress(path.read_bytes()) == content:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(compressed(content))
    print(f"{'differs' if check else 'wrote'}: {', '.join(stale)}" if stale else "embedded data: up to date")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
