from __future__ import annotations

import threading
from pathlib import Path

import pytest

from espalier_runtime.records.home import espalier_home, made_once


def test_home_is_what_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ESPALIER_HOME", str(tmp_path))
    assert espalier_home() == tmp_path
    monkeypatch.delenv("ESPALIER_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert espalier_home() == tmp_path / "espalier"


def test_of_several_that_want_a_folder_one_makes_it(tmp_path: Path) -> None:
    made: list[str] = []
    meeting = threading.Barrier(4)

    def make(folder: Path) -> None:
        made.append(folder.name)
        (folder / "file").write_text("whole")

    def want() -> None:
        meeting.wait()
        assert (made_once(tmp_path / "models" / "it", make) / "file").read_text() == "whole"

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_nothing_half_made_is_left(tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        (folder / "half").write_text("")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        made_once(tmp_path / "it", fails)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
