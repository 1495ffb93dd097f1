"""The embedded data against the script that made it."""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path

import pytest

from espalier_runtime.tasks.load import EMBEDDED_FOLDER

ROOT = Path(__file__).parents[3]
SOURCE = ROOT.parent / "shared" / "data"


@pytest.mark.skipif(not SOURCE.is_dir(), reason="needs the data sets of ../shared/data, which are not shipped")
def test_the_script_makes_the_embedded_files_again() -> None:
    spec = importlib.util.spec_from_file_location("embed_data", ROOT / "scripts" / "embed_data.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    made = script.embedded_files(SOURCE)
    assert {name: gzip.decompress((EMBEDDED_FOLDER / name).read_bytes()) for name in made} == made


def test_the_embedded_files_are_small_carry_no_time_and_their_attribution() -> None:
    files = sorted(EMBEDDED_FOLDER.glob("*.jsonl.gz"))
    assert len(files) == 4
    assert sum(path.stat().st_size for path in files) < 300_000
    assert all(path.read_bytes()[4:8] == bytes(4) for path in files)
    attribution = (EMBEDDED_FOLDER / "ATTRIBUTION.md").read_text()
    assert all(path.name in attribution for path in files)
