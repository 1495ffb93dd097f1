"""Perturbed training rows."""

from __future__ import annotations

from espalier_runtime import contract
from espalier_runtime.robustness.label_flips import flip_labels
from espalier_runtime.robustness.sub_sampling import sub_sample
from espalier_runtime.robustness.training_data import perturbed
from espalier_runtime.robustness.word_swaps import swap_words
from espalier_runtime.tasks.load import load_task
from espalier_runtime.tasks.task import Example

ROWS = [Example(f"one two three {number}", f"pair {number}", number % 3) for number in range(600)]


def test_flipped_labels_are_other_classes_and_nested_over_ratios() -> None:
    wrong = {}
    for ratio in (0.0, 0.1, 0.2):
        found = flip_labels(ROWS, 3, ratio, seed=0)
        wrong[ratio] = {place: row.label for place, row in enumerate(found) if row.label != ROWS[place].label}
        assert abs(len(wrong[ratio]) - ratio * 600) < 30
        assert {row.label for row in found} == {0, 1, 2}
    assert wrong[0.1].items() <= wrong[0.2].items()


def test_a_regressions_flipped_value_is_another_rows() -> None:
    rows = [Example("text", None, number / 7) for number in range(50)]
    found = flip_labels(rows, 0, 1.0, seed=0)
    assert {row.label for row in found} <= {row.label for row in rows}
    assert found != rows


def test_a_sub_sample_keeps_every_class_and_the_order() -> None:
    rows = [*ROWS, Example("rare", None, 3)]
    found = sub_sample(rows, 4, 0.2, seed=0)
    assert len(found) == 601 - 120
    assert [found.count(row) for row in found] == [1] * len(found)
    assert [rows.index(row) for row in found] == sorted(rows.index(row) for row in found)
    assert found[-1].text == "rare"


def test_swapped_words_are_the_same_words() -> None:
    found = swap_words(ROWS, 0.2, seed=0)
    assert all(sorted(a.text.split()) == sorted(b.text.split()) for a, b in zip(found, ROWS, strict=True))
    moved = sum(a.text != b.text for a, b in zip(found, ROWS, strict=True))
    assert abs(moved / 600 - (1 - 0.8**3)) < 0.06
    assert swap_words(ROWS, 0.0, seed=0) == ROWS
    assert swap_words([Example("word", None, 0)], 1.0, seed=0)[0].text == "word"


def test_an_experiment_perturbs_training_rows_and_no_others() -> None:
    task = load_task(contract.EmbeddedTask(name="snips", source="embedded", id="snips"))
    for data in ("labels", "rows", "words"):
        found = perturbed(task, contract.DataPerturbation(data=data, ratio=0.2))
        assert found.train != task.train
        assert found.evaluation == task.evaluation
        assert perturbed(task, contract.DataPerturbation(data=data, ratio=0.0)) is task
    assert perturbed(task, None) is task


def test_a_multiple_choices_flipped_label_is_another_of_its_candidates() -> None:
    rows = [
        Example("text", None, number % count, choices=("a", "b", "c", "d")[:count])
        for number in range(40)
        for count in (2, 4)
    ]
    for row, found in zip(rows, flip_labels(rows, 0, 1.0, seed=0), strict=True):
        assert found.label in set(range(len(row.choices))) - {row.label}


def test_a_generations_flipped_completion_is_another_rows() -> None:
    rows = [Example(f"prompt {number}", None, 1, completion=f"answer {number}") for number in range(50)]
    found = flip_labels(rows, 0, 1.0, seed=0)
    assert [(row.text, row.label) for row in found] == [(row.text, row.label) for row in rows]
    assert {row.completion for row in found} <= {row.completion for row in rows}
    assert sum(a.completion == b.completion for a, b in zip(found, rows, strict=True)) < 5
