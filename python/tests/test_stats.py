"""What scores over seeds and items allow to be said."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from espalier_runtime.stats import (
    difference_of,
    holm,
    interval,
    over_tasks,
    paired_difference,
    paired_scores,
    smallest_detectable_difference,
    verdict,
)


def noisy(labels: np.ndarray, rates: list[float], seed: int) -> np.ndarray:
    """Predictions (seeds, items) of 0 and 1 that are right with the seed's rate."""
    random = np.random.default_rng(seed)
    right = random.random((len(rates), labels.size)) < np.asarray(rates)[:, None]
    return np.where(right, labels, 1 - labels)


LABELS = np.arange(500) % 2


def test_the_interval_is_students() -> None:
    # t(0.975, 2) = 4.302653, standard deviation 1, root of 3 seeds.
    assert interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 4.302653 / np.sqrt(3), 2 + 4.302653 / np.sqrt(3)))
    assert interval([0.5, 0.5]) == (0.5, 0.5)


def test_an_interval_ends_where_the_mean_can_be_no_more() -> None:
    low, high = interval([0.2, 0.7]) or (0.0, 0.0)
    assert low < 0
    assert high > 1
    assert interval([0.2, 0.7], within=(0.0, 1.0)) == (0.0, 1.0)
    assert interval([0.5, 0.5], within=(0.0, 1.0)) == (0.5, 0.5)


def test_one_seed_has_no_interval() -> None:
    assert interval([0.9]) is None


@pytest.mark.parametrize("metric", ["accuracy", "f1", "matthews", "pearson", "spearman"])
def test_identical_methods_cannot_be_told_apart(metric: str) -> None:
    a = noisy(LABELS, [0.8, 0.9, 0.7], 0)
    found = paired_difference(metric, LABELS, a, a)
    assert (found.difference, found.interval, found.p) == (0.0, (0.0, 0.0), 1.0)
    assert smallest_detectable_difference(found) is None
    assert verdict(found.difference, found.interval, found.p) == "cannot be told apart"


@pytest.mark.parametrize("metric", ["accuracy", "f1", "matthews", "pearson", "spearman"])
def test_exchanging_the_methods_changes_the_sign_and_nothing_else(metric: str) -> None:
    a, b = noisy(LABELS, [0.8, 0.9, 0.85], 0), noisy(LABELS, [0.75, 0.8, 0.8], 1)
    forth, back = paired_difference(metric, LABELS, a, b), paired_difference(metric, LABELS, b, a)
    assert forth.difference == pytest.approx(-back.difference)
    assert forth.interval == pytest.approx((-back.interval[1], -back.interval[0]))
    assert forth.p == pytest.approx(back.p)


def test_with_one_seed_accuracy_is_tested_as_a_paired_t_test_over_items() -> None:
    a, b = noisy(LABELS, [0.9], 0), noisy(LABELS, [0.86], 1)
    found = paired_difference("accuracy", LABELS, a, b, resamples=20_000)
    expected = stats.ttest_rel((a == LABELS)[0].astype(float), (b == LABELS)[0].astype(float))
    low, high = expected.confidence_interval()
    assert found.difference == pytest.approx((a == LABELS).mean() - (b == LABELS).mean())
    assert [part.degrees for part in found.uncertainty.items] == [499]
    assert found.interval == pytest.approx((low, high), abs=0.001)
    assert found.p == pytest.approx(expected.pvalue, abs=0.01)


def test_where_items_agree_the_test_is_the_paired_t_test_over_seeds() -> None:
    # Every item differs alike within a seed, so that only the seeds carry uncertainty.
    labels = np.arange(40) / 40
    a = np.stack([labels, labels, -labels])
    b = np.stack([labels, -labels, -labels])
    found = paired_difference("pearson", labels, a, b)
    expected = stats.ttest_rel([1, 1, -1], [1, -1, -1])
    assert found.uncertainty.together[0].degrees == 2
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval()))


def test_a_clear_difference_is_found() -> None:
    better, worse = noisy(LABELS, [0.9, 0.91, 0.9], 0), noisy(LABELS, [0.8, 0.81, 0.8], 1)
    found = paired_difference("accuracy", LABELS, better, worse)
    assert verdict(found.difference, found.interval, found.p) == "better"
    turned = paired_difference("accuracy", LABELS, worse, better)
    assert verdict(turned.difference, turned.interval, turned.p) == "worse"


def test_a_handful_of_items_proves_nothing_however_clear() -> None:
    labels = np.ones(4)
    found = paired_difference("accuracy", labels, np.ones((3, 4)), np.zeros((3, 4)))
    assert (found.difference, found.p) == (1.0, 2.0**-3)
    assert verdict(found.difference, found.interval, found.p) == "cannot be told apart"
    assert paired_difference("accuracy", [1], [[1]], [[0]]).p == 1


def test_draws_of_a_seed_count_as_their_mean() -> None:
    a = noisy(LABELS, [0.85, 0.85], 0)
    draws = np.stack([noisy(LABELS, [0.8, 0.8], 1), noisy(LABELS, [0.7, 0.9], 2)], axis=1)
    found = paired_difference("accuracy", LABELS, a, draws)
    assert found.difference == pytest.approx((a == LABELS).mean() - (draws == LABELS).mean())
    repeated = np.stack([a, a], axis=1)
    assert paired_difference("accuracy", LABELS, repeated, draws).p == pytest.approx(found.p)


def test_methods_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="do not pair"):
        paired_difference("accuracy", LABELS, np.zeros((3, 500)), np.zeros((2, 500)))


def experiment(random: np.random.Generator, seeds: int, items: int, luck: float, shift: float = 0.0) -> np.ndarray:
    """What two methods got right, (2, seeds, items): both meet the same items, and each seed has luck of its own."""
    hardness = 1.5 + 2 * random.normal(size=items)
    seed = luck * random.normal(size=(2, seeds, 1))
    seed[0] += shift
    return (hardness + seed + random.normal(size=(2, seeds, items)) > 0).astype(float)


@pytest.mark.parametrize(("seeds", "luck"), [(2, 0.0), (2, 0.5), (3, 0.0), (3, 0.5), (5, 0.2)])
def test_equal_methods_are_rarely_told_apart_even_where_seeds_differ_by_luck(seeds: int, luck: float) -> None:
    """1,000 experiments at a level of 5 %: at most 7 % false verdicts, three standard errors above."""
    random = np.random.default_rng(0)
    false = 0
    for _ in range(1000):
        a, b = experiment(random, seeds, 200, luck)
        found = paired_difference("accuracy", np.ones(200), a, b, resamples=100)
        false += verdict(found.difference, found.interval, found.p) != "cannot be told apart"
    assert false <= 70


def test_seeds_that_agree_by_chance_are_not_taken_for_certain() -> None:
    # Both seeds differ by exactly one item, another one each.
    a = np.ones((2, 100))
    b = np.ones((2, 100))
    b[0, 0] = b[1, 1] = 0
    found = paired_difference("accuracy", np.ones(100), a, b)
    assert found.difference == pytest.approx(0.01)
    assert found.p > 0.1


def test_over_tasks_one_task_is_itself_and_two_are_their_mean_with_a_quarter_of_the_variances() -> None:
    random = np.random.default_rng(1)
    first = paired_scores("accuracy", np.ones(300), *experiment(random, 3, 300, 0.3))
    second = paired_scores("accuracy", np.ones(200), *experiment(random, 3, 200, 0.3))
    alone, both = over_tasks([first]), over_tasks([first, second])
    assert difference_of(alone).p == pytest.approx(difference_of(first).p)
    assert both.by_seed == pytest.approx((first.by_seed + second.by_seed) / 2)
    assert [entry.whole for entry in both.of_items] == [first.of_items[0].whole / 4, second.of_items[0].whole / 4]
    assert (both.items, both.of_items[1].degrees) == (500, 199)


def test_differences_that_cancel_over_tasks_are_no_difference() -> None:
    random = np.random.default_rng(2)
    a, b = experiment(random, 5, 300, 0.0, shift=1.0)
    forth, back = paired_scores("accuracy", np.ones(300), a, b), paired_scores("accuracy", np.ones(300), b, a)
    assert difference_of(forth).p < 0.01
    assert difference_of(over_tasks([forth, back])).difference == pytest.approx(0, abs=1e-12)
    assert difference_of(over_tasks([forth, forth])).p < difference_of(forth).p


def test_a_planted_difference_of_the_detectable_size_is_found_with_the_power_that_is_stated() -> None:
    """400 experiments: a true difference as large as what is detectable on average is found in 70 to 90 %."""
    random = np.random.default_rng(3)
    luck, shift, seeds, items = 0.25, 0.64, 5, 400
    results = [
        paired_difference("accuracy", np.ones(items), *experiment(random, seeds, items, luck, shift), resamples=100)
        for _ in range(400)
    ]
    detectable = float(np.mean([smallest_detectable_difference(found) or 0.0 for found in results]))
    true = float(np.mean([found.difference for found in results]))
    power = float(np.mean([verdict(found.difference, found.interval, found.p) == "better" for found in results]))
    assert true == pytest.approx(detectable, rel=0.03)
    assert 0.7 <= power <= 0.9


def test_the_smallest_detectable_difference_follows_from_the_error() -> None:
    found = paired_difference("accuracy", LABELS, noisy(LABELS, [0.9], 0), noisy(LABELS, [0.88], 1))
    # With 499 degrees of freedom the multiple is close to the normal's 1.960 + 0.842.
    (part,) = found.uncertainty.items
    assert smallest_detectable_difference(found) == pytest.approx(2.807 * np.sqrt(part.variance), rel=0.002)
    assert smallest_detectable_difference(found, 0.01) == pytest.approx(3.428 * np.sqrt(part.variance), rel=0.005)


def test_holm_on_a_known_list() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("difference", "bounds", "p", "expected"),
    [
        (0.1, (0.05, 0.15), 0.01, "better"),
        (-0.1, (-0.15, -0.05), 0.01, "worse"),
        (0.1, (0.05, 0.15), 0.05, "cannot be told apart"),
        (0.1, (-0.01, 0.21), 0.01, "cannot be told apart"),
    ],
)
def test_a_verdict_needs_both_p_and_interval(
    difference: float, bounds: tuple[float, float], p: float, expected: str
) -> None:
    assert verdict(difference, bounds, p) == expected
