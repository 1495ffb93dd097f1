"""What scores over seeds and items allow to be said."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

from espalier_runtime.tasks.metrics import weighted_scores

Array = NDArray[np.float64]
Verdict = Literal["better", "worse", "cannot be told apart"]

#: Weights of resamples held at once: 512 KiB, to stay in the processor's cache.
WEIGHTS_AT_ONCE = 1 << 16

#: Below this p is not told.
LEAST_P = 1e-100


def interval(
    scores: Sequence[float], level: float = 0.95, *, within: tuple[float, float] = (-math.inf, math.inf)
) -> tuple[float, float] | None:
    """Student's t interval of the mean of one score a seed; None with a single seed, which shows no spread.

    `within`: what values the mean can have at all. An interval loses none of its coverage by ending there.
    """
    count = len(scores)
    if count < 2:
        return None
    mean = float(np.mean(scores))
    half = float(stats.t.ppf((1 + level) / 2, count - 1) * np.std(scores, ddof=1) / np.sqrt(count))
    return max(mean - half, within[0]), min(mean + half, within[1])


@dataclass(frozen=True)
class Part:
    """A variance, and the degrees of freedom of its estimate."""

    variance: float
    degrees: int


@dataclass(frozen=True)
class ItemVariance:
    """Of the difference over new items: in all, and the share that falls on items and seeds together, as noise does."""

    whole: float
    shared: float
    degrees: int


@dataclass(frozen=True)
class PairedScores:
    """Score of a less score of b for each seed, (seeds,), and how their mean varies with the items, a task an entry."""

    by_seed: Array
    of_items: tuple[ItemVariance, ...]

    @property
    def items(self) -> int:
        """How many there are in all."""
        return sum(entry.degrees + 1 for entry in self.of_items)


@dataclass(frozen=True)
class Uncertainty:
    """What a difference may be off by, as `difference_of` says: by seeds and items together, and by items alone."""

    together: tuple[Part, ...]
    items: tuple[Part, ...]

    def reach(self, multiple: Callable[[int], float]) -> float:
        """max over both of sqrt(sum_k (multiple(degrees_k))^2 variance_k)."""

        def one(parts: Sequence[Part]) -> float:
            return math.sqrt(sum(part.variance * multiple(part.degrees) ** 2 for part in parts if part.variance > 0))

        return max(one(self.together), one(self.items))

    def half_width(self, alpha: float) -> float:
        """Of the interval of level 1 - alpha."""
        return self.reach(lambda degrees: float(-special.stdtrit(degrees, alpha / 2)))


@dataclass(frozen=True)
class PairedDifference:
    """Score of a less score of b, with its interval, its two-sided p, and what it may be off by."""

    difference: float
    interval: tuple[float, float]
    p: float
    uncertainty: Uncertainty


def paired_difference(
    metric: str,
    labels: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> PairedDifference:
    """Compares the predictions of two methods on one task: `difference_of` their `paired_scores`."""
    return difference_of(paired_scores(metric, labels, a, b, resamples=resamples, seed=seed), level)


def paired_scores(
    metric: str, labels: ArrayLike, a: ArrayLike, b: ArrayLike, *, resamples: int = 2000, seed: int = 0
) -> PairedScores:
    """The scores of two methods on one task, paired by seed and by item.

    `labels` (items,); `a` and `b` (seeds, items), or (seeds, draws, items) where a method was drawn several times a
    seed: its score for a seed is the mean over its draws, and the two may differ in draws. Variances over items are
    those of `resamples` bootstrap samples, the same for both methods and all seeds, the metric computed anew on each.
    """
    truth = np.asarray(labels, dtype=np.float64)
    runs_a, runs_b = _with_draws(a), _with_draws(b)
    seeds, items = runs_a.shape[0], truth.size
    if runs_b.shape[0] != seeds or runs_a.shape[2] != items or runs_b.shape[2] != items:
        raise ValueError(f"a {runs_a.shape} and b {runs_b.shape} do not pair over {items} items")

    def differences(weights: Array) -> Array:
        by_seed: Array = _seed_scores(metric, truth, runs_a, weights) - _seed_scores(metric, truth, runs_b, weights)
        return by_seed

    resampled = np.concatenate([differences(weights) for weights in _resamples(items, resamples, seed)])
    correction = items / max(1, items - 1)
    means = resampled.mean(1)
    apart = (resampled - means[:, None]).var(axis=0, ddof=1).sum() / (seeds * max(1, seeds - 1))
    of_items = ItemVariance(float(means.var(ddof=1)) * correction, float(apart) * correction, items - 1)
    return PairedScores(differences(np.ones((1, items)))[0], (of_items,))


def over_tasks(scores: Sequence[PairedScores]) -> PairedScores:
    """The mean over tasks, paired by task too: a seed's difference is the mean of its differences on the tasks.

    The tasks have the same seeds, and items of their own, so that with T tasks the items' variances add up, over T^2.
    The tasks themselves are taken as given: nothing is said about others.
    """
    share = 1 / len(scores) ** 2
    of_items = [entry for one in scores for entry in one.of_items]
    return PairedScores(
        np.mean([entry.by_seed for entry in scores], axis=0),
        tuple(ItemVariance(share * entry.whole, share * entry.shared, entry.degrees) for entry in of_items),
    )


def difference_of(scores: PairedScores, level: float = 0.95) -> PairedDifference:
    """Tests that a and b have the same expected score over new seeds and new items.

    With d_s the difference for seed s, Var* the variance over items, and E the part of Var* that is not common to the
    seeds (and so is in Var_s as well), the interval of level 1 - alpha reaches as far as

        max( sqrt(q_s^2 Var_s(d_s) / seeds + q_i^2 max(0, Var*(mean_s d_s) - E)),  sqrt(q_i^2 Var*(mean_s d_s)) )

    with q_s and q_i Student's quantiles at 1 - alpha / 2 for seeds - 1 and items - 1 degrees of freedom: the
    half-widths that seeds and items would have alone, combined as of independent estimates (Zou and Donner, 2008).
    Degrees of freedom estimated after Satterthwaite call equal methods different twice as often as they should where
    two or three seeds differ by luck. A sign-flip test over items alone takes that luck for a difference of methods;
    but p is never below 2^(1 - items), the least it could give. With one seed only the items are covered: the
    statement is about these two trained models. `scripts/false_positives.py` shows how often equal methods are told
    apart.
    """
    seeds = scores.by_seed.size
    items = tuple(Part(entry.whole, entry.degrees) for entry in scores.of_items)
    together: tuple[Part, ...] = ()
    if seeds > 1:
        of_seeds = Part(float(scores.by_seed.var(ddof=1)) / seeds, seeds - 1)
        common = (Part(max(0.0, entry.whole - entry.shared), entry.degrees) for entry in scores.of_items)
        together = (of_seeds, *common)
    uncertainty = Uncertainty(together, items)
    difference = float(scores.by_seed.mean())
    half = uncertainty.half_width(1 - level)
    return PairedDifference(
        difference=difference,
        interval=(difference - half, difference + half),
        p=max(_two_sided(difference, uncertainty), min(1.0, 2.0 ** (1 - scores.items))),
        uncertainty=uncertainty,
    )


def smallest_detectable_difference(found: PairedDifference, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """The true difference that a comparison of this uncertainty finds at level `alpha` with probability `power`.

    The reach of `difference_of` with q replaced by the noncentrality at which Student's t passes q with that chance.
    None where nothing varied, as with two methods that agree on every item: there is nothing to estimate it from.
    """

    return found.uncertainty.reach(lambda degrees: _noncentrality(alpha, power, degrees)) or None


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: max over j <= i of min(1, (m - j + 1) p_(j)), p_(j) ascending."""
    ascending = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(ascending):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def verdict(difference: float, interval: tuple[float, float], adjusted_p: float, alpha: float = 0.05) -> Verdict:
    """Better or worse only where the adjusted p is below `alpha` and the interval leaves out 0."""
    if adjusted_p >= alpha or interval[0] <= 0 <= interval[1]:
        return "cannot be told apart"
    return "better" if difference > 0 else "worse"


def _with_draws(predictions: ArrayLike) -> Array:
    """As (seeds, draws, items)."""
    runs = np.asarray(predictions, dtype=np.float64)
    return runs[:, None, :] if runs.ndim == 2 else runs


def _seed_scores(metric: str, labels: Array, runs: Array, weights: Array) -> Array:
    """The mean score over the draws of each seed, (resamples, seeds)."""
    seeds, draws, items = runs.shape
    scores = weighted_scores(metric, labels, runs.reshape(seeds * draws, items), weights)
    means: Array = scores.reshape(-1, seeds, draws).mean(2)
    return means


def _resamples(items: int, count: int, seed: int) -> Iterator[Array]:
    """`count` bootstrap samples as item weights, in blocks of (resamples, items)."""
    random = np.random.default_rng(seed)
    block = max(1, WEIGHTS_AT_ONCE // items)
    for start in range(0, count, block):
        size = min(block, count - start)
        drawn = random.integers(0, items, (size, items)) + items * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * items).reshape(size, items).astype(np.float64)


@lru_cache
def _noncentrality(alpha: float, power: float, degrees: int) -> float:
    """At which Student's t passes its two-sided critical value, on the one side, with probability `power`."""
    critical = float(stats.t.isf(alpha / 2, degrees))
    # Of few degrees of freedom the critical value is large, but power comes within a few of them.
    return float(optimize.brentq(lambda nc: stats.nct.sf(critical, degrees, nc) - power, 0.0, 4 * critical + 10))


def _two_sided(difference: float, uncertainty: Uncertainty) -> float:
    """The alpha at which the interval ends at 0."""
    if difference == 0:
        return 1.0

    def beyond(log_alpha: float) -> float:
        return uncertainty.half_width(math.exp(log_alpha)) - abs(difference)

    least = math.log(LEAST_P)
    return LEAST_P if beyond(least) <= 0 else math.exp(optimize.brentq(beyond, least, 0.0))
