"""The one JSON encoder: everything that is recorded, or handed to TypeScript, is written by `dumps`."""

import json
import math
import sys
from collections.abc import Mapping
from pathlib import PurePath


def dumps(value: object) -> str:
    """Write `value` as compact, strict JSON on one line.

    JSON has no number that is not finite: NaN and the infinities are written as the strings "NaN", "Infinity"
    and "-Infinity", wherever they stand. NumPy scalars are written as what they hold, paths as strings.

    Raises:
        TypeError: `value` holds something that JSON has no form for, such as a set or a tensor.
    """
    try:
        return _encode(value)
    except ValueError:
        # The fast encoder says only that some number is not finite; most values never come here.
        return _encode(_finite(value))


def _encode(value: object) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"), default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, PurePath):
        return str(value)
    if _is_numpy_scalar(value):
        return value.item()  # type: ignore[attr-defined]
    raise TypeError(f"{type(value).__name__} has no form in JSON: {value!r:.80}")


def _finite(value: object) -> object:
    if _is_numpy_scalar(value):
        value = value.item()  # type: ignore[attr-defined]
    if isinstance(value, float):
        return value if math.isfinite(value) else _name(value)
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value


def _name(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _is_numpy_scalar(value: object) -> bool:
    # A NumPy scalar can exist only once NumPy is loaded; loading it here would cost start-up time.
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.generic)
