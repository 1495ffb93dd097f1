"""Where Espalier keeps what it makes outside of a run and can make again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from espalier_runtime.records.files import storage_error


def espalier_home() -> Path:
    """ESPALIER_HOME, which TypeScript always sets; without it the user's cache."""
    given = os.environ.get("ESPALIER_HOME")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "espalier"


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """`folder`, made by `make(temporary folder)` where it does not stand yet.

    Of several processes that want it one makes it and the others wait; a reader never finds half of it. Raises
    EspalierError where the disk is full or the folder cannot be written.
    """
    if folder.is_dir():
        return folder
    temporary = folder.with_name(f".{folder.name}.tmp")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if not folder.is_dir():
                _make(temporary, make)
                temporary.replace(folder)
    except OSError as error:
        raise storage_error(error, folder) from error
    return folder


def _make(temporary: Path, make: Callable[[Path], None]) -> None:
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        make(temporary)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
