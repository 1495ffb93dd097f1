from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from espalier_runtime.errors import EspalierError
from espalier_runtime.records.directory import RunDirectory


def hold(path: Path, pid: int, host: str) -> None:
    (path / "writer.lock").write_text(json.dumps({"pid": pid, "host": host}))


def test_a_run_has_one_writer(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    with run.writer(), pytest.raises(EspalierError, match=f"process {os.getpid()} on .* is writing this run"):
        with run.writer():
            pass
    assert not (tmp_path / "writer.lock").exists()


def test_the_lock_of_a_process_that_is_gone_is_taken_over(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    hold(tmp_path, gone.pid, socket.gethostname())
    with RunDirectory(tmp_path).writer():
        assert json.loads((tmp_path / "writer.lock").read_text())["pid"] == os.getpid()


def test_a_torn_lock_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "writer.lock").write_text('{"pid":')
    with RunDirectory(tmp_path).writer():
        pass


def test_a_lock_of_another_host_is_respected(tmp_path: Path) -> None:
    hold(tmp_path, 1, "elsewhere")
    with pytest.raises(EspalierError, match="process 1 on elsewhere"), RunDirectory(tmp_path).writer():
        pass
