"""Atomic writes: a file is written under a temporary name, flushed to the disk, and renamed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from espalier_runtime.errors import EspalierError
from espalier_runtime.records.json import dumps


def write_atomic(path: Path, write: Callable[[Path], None]) -> None:
    """Calls `write` with a temporary path beside `path`, then puts the result in its place.

    A reader sees the old file or the new one, never half of one. Raises EspalierError where the disk is full or the
    folder cannot be written; what stood at `path` is then untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except BaseException as error:
        # Where the folder itself could not be made there is nothing to take away.
        if path.parent.is_dir():
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise storage_error(error, path) from error
        raise


def write_text(path: Path, text: str) -> None:
    """Writes `text` in UTF-8."""
    write_atomic(path, lambda temporary: _write(temporary, text))


def write_json(path: Path, value: object) -> None:
    """Writes `value` as JSON; numbers that are not finite become "NaN", "Infinity", "-Infinity"."""
    write_text(path, dumps(value) + "\n")


def storage_error(error: OSError, path: Path) -> EspalierError:
    """What a failed write means to the person who runs Espalier."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EspalierError(
            f"{path}: the disk is full, so this file was not written; everything written earlier is intact",
            mend="Free some space and resume the run.",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return EspalierError(
            f"{path}: this folder cannot be written ({os.strerror(error.errno)})",
            mend="Choose another folder with --runs, or change its permissions.",
        )
    return EspalierError(f"{path}: could not be written: {error}")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
