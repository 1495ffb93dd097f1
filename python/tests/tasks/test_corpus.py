from __future__ import annotations

import pytest
import torch

from espalier_runtime.backbone.layout import Packed, Padded
from espalier_runtime.errors import InputError
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.tasks.tokenise import TokenIds

CPU = torch.device("cpu")


def made(*, packed: bool) -> Corpus:
    """Rows of 3, 5, 1 and 3 tokens, whose token types are 0 and then 1."""
    rows = [
        (0, TokenIds(list(range(10 * row, 10 * row + length)), [0] + [1] * (length - 1), False), float(row))
        for row, length in enumerate((3, 5, 1, 3))
    ]
    return Corpus(["task"], rows, 99, CPU, packed=packed)


def test_a_padded_batch_is_filled_with_the_padding_token() -> None:
    batch = made(packed=False).batch([0, 2])
    assert isinstance(batch.inputs.layout, Padded)
    assert batch.inputs.input_ids.tolist() == [[0, 1, 2], [20, 99, 99]]
    assert batch.inputs.token_type_ids is not None
    assert batch.inputs.token_type_ids.tolist() == [[0, 1, 1], [0, 0, 0]]
    assert batch.labels.tolist() == [0.0, 2.0]


def test_a_packed_batch_has_no_padding() -> None:
    batch = made(packed=True).batch([0, 2])
    assert isinstance(batch.inputs.layout, Packed)
    assert batch.inputs.input_ids.tolist() == [[20, 0, 1, 2]]
    assert batch.inputs.token_type_ids is not None
    assert batch.inputs.token_type_ids.tolist() == [[0, 0, 1, 1]]
    assert batch.labels.tolist() == [0.0, 2.0]


def test_tokens_count_the_padding_where_there_is_any() -> None:
    assert made(packed=False).tokens([0, 1, 2]) == 15
    assert made(packed=True).tokens([0, 1, 2]) == 9


@pytest.mark.parametrize(("packed", "parts"), [(False, [[0], [3], [2]]), (True, [[0], [3, 2]])])
def test_rows_that_fit_stay_in_order_and_others_are_parted_longest_first(packed: bool, parts: list[list[int]]) -> None:
    assert made(packed=packed).parts([2, 0, 3], 9) == [[2, 0, 3]]
    assert made(packed=packed).parts([2, 0, 3], 4) == parts
    assert made(packed=packed).parts([], 4) == []


def test_padding_a_packed_corpus_leaves_its_batches_as_they_are() -> None:
    rows = [(0, TokenIds([1] * (1 + row % 50), None, False), 0.0) for row in range(100)]
    packed = Corpus(["task"], rows, 0, CPU, packed=True)
    assert not packed.padded().packed
    assert packed.padded().batches(range(100), 8, 3, 1) == packed.batches(range(100), 8, 3, 1)


def test_without_padding_rows_are_not_sorted_into_batches_by_length() -> None:
    rows = [(0, TokenIds([1] * (1 + row % 50), None, False), 0.0) for row in range(1000)]
    spread = []
    for packed in (False, True):
        made = Corpus(["task"], rows, 0, CPU, packed=packed)
        full = [batch for batch in made.batches(range(1000), 32, 0, 0) if len(batch) == 32]
        spread.append(sum(max(made.lengths[r] for r in b) - min(made.lengths[r] for r in b) for b in full) / len(full))
    assert spread[0] < 10 < 40 < spread[1]


def test_a_corpus_is_cut_down_to_rows_spread_evenly_over_it() -> None:
    rows = [(0, TokenIds([row + 1], None, False), float(row)) for row in range(10)]
    made = Corpus(["task"], rows, 0, CPU)
    assert made.at_most(4).labels == [1, 3, 6, 8]
    assert made.at_most(1).labels == [5]
    assert made.at_most(10) is made
    assert made.at_most(4).batch([2]).labels.tolist() == [6]


def labelled(labels: list[list[float]], classified: list[int]) -> Corpus:
    """A row of one token for each label of each task."""
    rows = [(task, TokenIds([1], None, False), label) for task, of in enumerate(labels) for label in of]
    return Corpus([f"task{task}" for task in range(len(labels))], rows, 0, CPU, classified=classified)


def test_classes_are_held_out_in_proportion_and_whole_numbers_of_a_regression_are_none() -> None:
    twice = [float(row // 2) for row in range(20)] + [20.0] * 20
    classes = labelled([twice, twice], [0]).held_out(0.5, seed=0)
    of_classes, of_numbers = [row for row in classes if row < 40], [row - 40 for row in classes if row >= 40]
    assert len(of_classes) == len(of_numbers) == 20
    assert all(sum(twice[row] == label for row in of_classes) == 1 for label in range(10))
    assert any(sum(twice[row] == label for row in of_numbers) != 1 for label in range(10))


def test_a_task_of_a_single_row_has_none_to_hold_out() -> None:
    with pytest.raises(InputError, match="^tasks.task1: it has a single training row"):
        labelled([[0.0, 1.0], [1.0]], []).held_out(0.1, seed=0)


def test_a_row_keeps_its_number_where_others_are_left_out() -> None:
    given = labelled([[0.0] * 3, [1.0] * 4], [])
    assert [given.without([0, 3]).name_of(row) for row in range(5)] == [
        "task0#2",
        "task0#3",
        "task1#2",
        "task1#3",
        "task1#4",
    ]
