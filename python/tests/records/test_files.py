from __future__ import annotations

import errno
from pathlib import Path

import pytest

from espalier_runtime.errors import EspalierError
from espalier_runtime.records.files import write_atomic, write_json, write_text


def test_a_write_that_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    write_text(target, "old")

    def fails(path: Path) -> None:
        path.write_text("half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_atomic(target, fails)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_full_disk_is_said_and_earlier_files_are_intact(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    write_text(target, "old")

    def full(path: Path) -> None:
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(EspalierError, match="the disk is full") as caught:
        write_atomic(target, full)
    assert "resume" in str(caught.value.mend)
    assert target.read_text() == "old"


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EspalierError, match="could not be written"):
        write_text(tmp_path / "file" / "below" / "result.json", "text")


def test_numbers_that_are_not_finite_are_words(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"loss": float("nan"), "best": float("-inf")})
    assert (tmp_path / "a.json").read_text() == '{"loss":"NaN","best":"-Infinity"}\n'
