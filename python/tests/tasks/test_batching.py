"""Which rows run together."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from espalier_runtime.tasks.batching import carve, micro_batches, training_batches


def lengths_of(rows: int, seed: int) -> list[int]:
    return [int(length) for length in np.random.default_rng(seed).integers(3, 120, rows)]


@pytest.mark.parametrize("rows", [1, 31, 32, 33, 640, 1777])
@pytest.mark.parametrize("seed", [0, 1])
def test_an_epoch_holds_every_row_once_in_full_batches_but_one(rows: int, seed: int) -> None:
    batches = training_batches(lengths_of(rows, seed), 32, seed, epoch=0, window=20)
    assert sorted(row for batch in batches for row in batch) == list(range(rows))
    sizes = sorted((len(batch) for batch in batches), reverse=True)
    assert sizes == [32] * (rows // 32) + ([rows % 32] if rows % 32 else [])


def test_seed_and_epoch_set_the_order() -> None:
    lengths = lengths_of(500, 0)
    first = training_batches(lengths, 16, seed=3, epoch=2, window=20)
    assert training_batches(lengths, 16, seed=3, epoch=2, window=20) == first
    assert training_batches(lengths, 16, seed=3, epoch=1, window=20) != first
    assert training_batches(lengths, 16, seed=4, epoch=2, window=20) != first


def test_rows_of_like_length_share_a_batch() -> None:
    lengths = lengths_of(2000, 0)

    def padded(window: int) -> int:
        batches = training_batches(lengths, 32, 0, 0, window)
        return sum(len(batch) * max(lengths[row] for row in batch) for batch in batches)

    assert padded(20) < 1.1 * sum(lengths) < padded(1)


def test_the_short_batch_is_a_random_draw_and_not_the_longest_rows() -> None:
    lengths = list(range(100))
    short = [batch for epoch in range(200) for batch in training_batches(lengths, 32, 0, epoch, 20) if len(batch) == 4]
    mean = np.mean([lengths[row] for batch in short for row in batch])
    assert len(short) == 200
    assert abs(mean - 49.5) < 5


def test_batches_of_long_and_of_short_rows_come_in_random_order() -> None:
    lengths = lengths_of(3200, 0)
    means = [np.mean([lengths[row] for row in batch]) for batch in training_batches(lengths, 32, 0, 0, 20)]
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.3


@pytest.mark.parametrize("seed", range(20))
def test_parts_hold_every_row_once_longest_first_and_keep_to_the_tokens(seed: int) -> None:
    lengths = lengths_of(200, seed)
    rows = [int(row) for row in np.random.default_rng(seed).permutation(200)[:64]]
    for packed, tokens in ((False, lambda own: len(own) * max(own)), (True, sum)):
        parts = micro_batches(rows, lengths, 400, packed=packed)
        laid = [row for part in parts for row in part]
        assert sorted(laid) == sorted(rows)
        assert [lengths[row] for row in laid] == sorted((lengths[row] for row in rows), reverse=True)
        assert all(tokens([lengths[row] for row in part]) <= 400 for part in parts)
        for part, later in itertools.pairwise(parts):
            assert tokens([lengths[row] for row in [*part, later[0]]]) > 400  # a part is as full as it can be


def test_a_row_longer_than_the_budget_is_alone() -> None:
    for packed in (False, True):
        assert micro_batches([0, 1, 2], [3, 50, 3], max_tokens=10, packed=packed) == [[1], [0, 2]]
    assert micro_batches([], [], max_tokens=30) == []


@pytest.mark.parametrize(("rows", "fraction", "held"), [(10, 0.0, 0), (10, 0.01, 1), (10, 0.25, 2), (3, 1.0, 2)])
def test_the_fraction_is_held_out_and_one_row_stays(rows: int, fraction: float, held: int) -> None:
    train, held_out = carve(rows, fraction, seed=0)
    assert len(held_out) == held
    assert sorted([*train, *held_out]) == list(range(rows))
    assert (train, held_out) == (sorted(train), sorted(held_out))


def test_classes_are_held_out_in_proportion() -> None:
    labels = [0] * 500 + [1] * 300 + [2] * 200
    _, held_out = carve(1000, 0.1, seed=1, labels=labels)
    assert np.bincount([labels[row] for row in held_out]).tolist() == [50, 30, 20]


def test_of_classes_of_one_row_each_rows_are_held_out_all_the_same() -> None:
    train, held_out = carve(200, 0.1, seed=1, labels=list(range(200)))
    assert (len(train), len(held_out)) == (180, 20)


@pytest.mark.parametrize("seed", range(20))
def test_every_class_keeps_a_row_in_train(seed: int) -> None:
    labels = [int(label) for label in np.random.default_rng(seed).integers(0, 30, 100)] + [99]
    train, held_out = carve(101, 0.5, seed, labels)
    assert {labels[row] for row in train} == set(labels)
    assert 100 not in held_out
    assert len(held_out) == 50
    assert carve(101, 0.5, seed, labels) == (train, held_out)
