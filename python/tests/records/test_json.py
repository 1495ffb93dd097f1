import json
import math
from pathlib import Path

import numpy as np
import pytest

from espalier_runtime.records.json import dumps


def test_writes_compact_json_on_one_line():
    assert dumps({"a": [1, 2.5, None, True], "b": "line\nline"}) == '{"a":[1,2.5,null,true],"b":"line\\nline"}'


@pytest.mark.parametrize(("value", "text"), [(math.nan, '"NaN"'), (math.inf, '"Infinity"'), (-math.inf, '"-Infinity"')])
@pytest.mark.parametrize("kind", [float, np.float32, np.float64])
def test_writes_numbers_that_are_not_finite_as_strings(value, text, kind):
    assert dumps(kind(value)) == text
    assert dumps({"deep": [{"x": (kind(value), 1)}]}) == f'{{"deep":[{{"x":[{text},1]}}]}}'


@pytest.mark.parametrize(
    ("value", "text"),
    [(np.float64(0.1), "0.1"), (np.float32(0.5), "0.5"), (np.int64(7), "7"), (np.bool_(True), "true")],
)
def test_writes_numpy_scalars_as_what_they_hold(value, text):
    assert dumps([value]) == f"[{text}]"
    assert dumps([value, math.nan]) == f'[{text},"NaN"]'


def test_writes_a_path_as_its_text():
    assert dumps({"path": Path("runs") / "one"}) == '{"path":"runs/one"}'


def test_text_comes_back_as_it_was():
    text = 'Spalierobst \U0001f34f " \\ \x00 \u2028 \ud800'
    assert json.loads(dumps(text)) == text


@pytest.mark.parametrize("value", [{1, 2}, object(), np.zeros(3), [math.nan, {1}]])
def test_refuses_what_json_has_no_form_for(value):
    with pytest.raises(TypeError, match="has no form in JSON"):
        dumps(value)
