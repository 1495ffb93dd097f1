from __future__ import annotations

from typing import Any

import pytest

from espalier_runtime import contract
from espalier_runtime.errors import InputError
from espalier_runtime.tasks.choices import choice_rows
from espalier_runtime.tasks.load import load_task
from espalier_runtime.tasks.rows import DEFAULT_COLUMNS, SourceRow

CHOICES = ["cold", "down", "new"]


def place(choices: object, label: object) -> float:
    (example,) = choice_rows(
        [SourceRow("rows row", 1, {"text": "hot?", "choices": choices, "label": label})], DEFAULT_COLUMNS
    )
    assert example.choices == tuple(CHOICES)
    return example.label


@pytest.mark.parametrize("label", ["down", 1, "1", 1.0])
def test_a_label_is_a_candidates_text_or_place(label: object) -> None:
    assert place(CHOICES, label) == 1


def test_candidates_may_have_names() -> None:
    assert place({"text": CHOICES, "label": ["A", "B", "C"]}, "C") == 2


@pytest.mark.parametrize("label", [3, -1, "old", True])
def test_a_label_that_is_no_candidate_names_what_is_allowed(label: object) -> None:
    with pytest.raises(InputError, match="which is none of its 3 candidates") as caught:
        place(CHOICES, label)
    assert "0 to 2" in str(caught.value.mend)


@pytest.mark.parametrize("choices", ["cold", ["cold"], ["cold", 3], {"text": "cold"}])
def test_candidates_are_a_list_of_at_least_two_texts(choices: object) -> None:
    with pytest.raises(InputError, match='"choices" is .* but must be a list of at least two texts'):
        place(choices, 0)


def test_rows_without_candidates_say_so() -> None:
    rows: list[dict[str, Any]] = [{"text": "hot?", "label": "cold"}, {"text": "up?", "label": "down"}]
    spec = contract.RowsTask.model_validate(
        {"name": "opposites", "kind": "multipleChoice", "source": "rows", "train": rows, "test": rows}
    )
    with pytest.raises(InputError, match='opposites.train row 1 has no "choices"; its fields are "text", "label"'):
        load_task(spec)
