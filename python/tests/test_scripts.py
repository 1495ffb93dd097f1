"""The scripts beside the package, which nothing else imports."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
FILES = sorted(SCRIPTS.glob("*.py"))


@pytest.mark.parametrize("script", [file.stem for file in FILES] + ["bench.__main__"])
def test_a_script_finds_all_that_it_imports(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)
    assert importlib.import_module(script).__doc__
