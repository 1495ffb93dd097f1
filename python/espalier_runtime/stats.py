"""What scores over seeds and items allow to be said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from espalier_runtime.tasks.metrics import weighted_scores

Array = NDArray[np.float64]
Verdict = Literal["better", "worse", "cannot be told apart"]

#: Weights of resamples held at once: 512 KiB, to stay in the processor's cache.
WEIGHTS_AT_ONCE = 1 << 16


def interval(scores: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """Student's t interval of the mean of one score a seed; None with a single seed, which shows no spread."""
    count = len(scores)
    if count < 2:
        return None
    mean = float(np.mean(scores))
    half = float(stats.t.ppf((1 + level) / 2, count - 1) * np.std(scores, ddof=1) / np.sqrt(count))
    return mean - half, mean + half


@dataclass(frozen=True)
class PairedDifference:
    """Score of a less score of b, with its interval, its two-sided p, its standard error and degrees of freedom."""

    difference: float
    interval: tuple[float, float]
    p: float
    standard_error: float
    degrees: float


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
    """Compares the predictions of two methods, paired by seed and by item.

    `labels` (items,); `a` and `b` (seeds, items), or (seeds, draws, items) where a method was drawn several times a
    seed: its score for a seed is the mean over its draws, and the two may differ in draws.

    Tested is: a and b have the same expected score over new seeds and new items. With d_s the difference for seed s,

        SE^2 = Var_s(d_s) / seeds + Var*(mean_s d_s)

    where Var* is over `resamples` bootstrap samples of the items, the same for both methods and all seeds, the metric
    computed anew on each. Interval and p come from Student's t with Satterthwaite's degrees of freedom: close to the
    normal's where the items carry the uncertainty, close to seeds - 1 where the seeds do. What seeds and items share
    is counted in both terms, which errs on the side of "cannot be told apart". A sign-flip test over items alone takes
    the luck of few seeds for a difference of methods; but p is never below 2^(1 - items), the least it could give.
    With one seed only the items are covered: the statement is about these two trained models.
    """
    truth = np.asarray(labels, dtype=np.float64)
    runs_a, runs_b = _with_draws(a), _with_draws(b)
    seeds, items = runs_a.shape[0], truth.size
    if runs_b.shape[0] != seeds or runs_a.shape[2] != items or runs_b.shape[2] != items:
        raise ValueError(f"a {runs_a.shape} and b {runs_b.shape} do not pair over {items} items")

    def differences(weights: Array) -> Array:
        by_seed: Array = _seed_scores(metric, truth, runs_a, weights) - _seed_scores(metric, truth, runs_b, weights)
        return by_seed

    by_seed = differences(np.ones((1, items)))[0]
    difference = float(by_seed.mean())
    resampled = np.concatenate([differences(weights).mean(1) for weights in _resamples(items, resamples, seed)])
    of_items = float(resampled.var(ddof=1)) * items / max(1, items - 1)
    of_seeds = float(by_seed.var(ddof=1)) / seeds if seeds > 1 else 0.0
    error = float(np.sqrt(of_seeds + of_items))
    degrees = _satterthwaite([(of_seeds, seeds - 1), (of_items, items - 1)])
    half = error * float(stats.t.ppf((1 + level) / 2, degrees))
    return PairedDifference(
        difference=difference,
        interval=(difference - half, difference + half),
        p=max(_two_sided(difference, error, degrees), min(1.0, 2.0 ** (1 - items))),
        standard_error=error,
        degrees=degrees,
    )


def smallest_detectable_difference(found: PairedDifference, alpha: float = 0.05, power: float = 0.8) -> float:
    """The true difference that a comparison with this standard error would find with probability `power`."""
    quantiles = stats.t.ppf([1 - alpha / 2, power], found.degrees)
    return float(found.standard_error * quantiles.sum())


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


def _satterthwaite(components: Sequence[tuple[float, int]]) -> float:
    """Degrees of freedom of a sum of variances, each with its own; 1 where none has any variance."""
    total = sum(variance for variance, _ in components)
    if total == 0:
        return 1.0
    return float(total**2 / sum(variance**2 / degrees for variance, degrees in components if variance > 0))


def _two_sided(difference: float, error: float, degrees: float) -> float:
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * stats.t.sf(abs(difference) / error, degrees))
