"""Reads the JSON cards that say what a folder holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from espalier_runtime.errors import InputError

VERSION = 1


def read_versioned(path: Path, mend: str) -> dict[str, Any]:
    """What the card at `path` says. Raises InputError, with `mend` where none can be read, or for another version."""
    try:
        data: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path.parent}: holds no readable {path.name} ({error})", mend=mend) from error
    if data.get("version") != VERSION:
        raise InputError(
            f"{path}: version {data.get('version')} is not one that this Espalier reads ({VERSION})",
            mend="Update Espalier.",
        )
    return data
