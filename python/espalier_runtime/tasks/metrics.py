"""The metrics of a task, for one evaluation split or for many resamples of it at once.

Larger is better in all of them. Each is computed from item weights, so that a bootstrap of thousands of resamples is a
few matrix products; with all weights 1 they equal those of scikit-learn and SciPy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from espalier_runtime.errors import TrialError
from espalier_runtime.tasks.task import TaskKind

Array = NDArray[np.float64]

#: Below this share of its scale a spread is rounding, and the values count as constant.
ROUNDING = 1e-12


def default_metric(kind: TaskKind) -> str:
    """Accuracy for classification and multiple choice, Pearson's correlation for regression, else exact match."""
    return {"regression": "pearson", "generation": "exactMatch"}.get(kind, "accuracy")


def score(metric: str, labels: ArrayLike, predictions: ArrayLike) -> float:
    """The metric of `predictions` (items,) against `labels` (items,): class indices, or values.

    `accuracy`; `f1`, the mean over the classes seen in labels or predictions; `matthews`; `pearson`; `spearman`;
    `exactMatch` and `rougeL`, whose predictions are the scores of the texts (tasks/written.py).
    Where a correlation or Matthews' coefficient is undefined, because all labels or all predictions are equal, it is
    0: no relation was shown. Raises TrialError at predictions that are not finite.
    """
    weights = np.ones((1, np.size(labels)))
    return float(weighted_scores(metric, labels, np.asarray(predictions)[None], weights)[0, 0])


def weighted_scores(metric: str, labels: ArrayLike, predictions: ArrayLike, weights: ArrayLike) -> Array:
    """The metric of each run on each resample, (resamples, runs).

    `labels` (items,), `predictions` (runs, items); `weights` (resamples, items) counts an item in a resample.
    """
    truth = np.asarray(labels, dtype=np.float64)
    predicted = np.asarray(predictions, dtype=np.float64)
    if not np.isfinite(predicted).all():
        count = int((~np.isfinite(predicted)).sum())
        raise TrialError(f"{count} of {predicted.size} predictions are not finite", mend="Lower training.learningRate.")
    return METRICS[metric](truth, predicted, np.asarray(weights, dtype=np.float64))


def _accuracy(labels: Array, predictions: Array, weights: Array) -> Array:
    return _shares(weights, (predictions == labels).astype(np.float64))


def _mean(labels: Array, predictions: Array, weights: Array) -> Array:  # noqa: ARG001
    """Of predictions that are scores already, as those of written texts are."""
    return _shares(weights, predictions)


def _f1(labels: Array, predictions: Array, weights: Array) -> Array:
    def of_run(hits: Array, predicted: Array, true: Array) -> Array:
        seen = predicted + true > 0
        per_class = np.divide(2 * hits, predicted + true, out=np.zeros_like(hits), where=seen)
        means: Array = per_class.sum(1) / seen.sum(1)
        return means

    return _by_class_counts(labels, predictions, weights, of_run)


def _matthews(labels: Array, predictions: Array, weights: Array) -> Array:
    """Gorodkin's R_K, (c s - sum_k p_k t_k) / sqrt((s^2 - sum_k p_k^2)(s^2 - sum_k t_k^2))."""

    def of_run(hits: Array, predicted: Array, true: Array) -> Array:
        total = true.sum(1)
        covariance = hits.sum(1) * total - (predicted * true).sum(1)
        spread = (total**2 - (predicted**2).sum(1)) * (total**2 - (true**2).sum(1))
        coefficients: Array = np.divide(covariance, np.sqrt(spread), out=np.zeros_like(covariance), where=spread > 0)
        return coefficients

    return _by_class_counts(labels, predictions, weights, of_run)


def _pearson(labels: Array, predictions: Array, weights: Array) -> Array:
    x, y = _centred(labels[None]), _centred(predictions)
    mean_x, mean_y = _shares(weights, x), _shares(weights, y)
    square_x, square_y = _shares(weights, x**2), _shares(weights, y**2)
    covariance = _shares(weights, x * y) - mean_x * mean_y
    spread_x, spread_y = square_x - mean_x**2, square_y - mean_y**2
    defined = (spread_x > ROUNDING * square_x) & (spread_y > ROUNDING * square_y)
    spread = np.sqrt(np.where(defined, spread_x * spread_y, 1.0))
    return np.where(defined, np.clip(covariance / spread, -1.0, 1.0), 0.0)


def _spearman(labels: Array, predictions: Array, weights: Array) -> Array:
    """Pearson's correlation of the ranks within each resample, ties at their mean rank."""
    x = _centred_ranks(labels, weights)
    weighted_x = weights * x
    spread_x = (weighted_x * x).sum(1)
    columns = []
    for run in predictions:
        y = _centred_ranks(run, weights)
        spread = spread_x * np.einsum("ri,ri,ri->r", weights, y, y)
        covariance = np.einsum("ri,ri->r", weighted_x, y)
        columns.append(np.divide(covariance, np.sqrt(spread), out=np.zeros_like(spread), where=spread > 0))
    return np.stack(columns, axis=1)


METRICS: dict[str, Callable[[Array, Array, Array], Array]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "matthews": _matthews,
    "pearson": _pearson,
    "spearman": _spearman,
    "exactMatch": _mean,
    "rougeL": _mean,
}

#: Metrics that can be as low as -1; no other is below 0, and none above 1.
CORRELATIONS = frozenset({"matthews", "pearson", "spearman"})


def range_of(metrics: Sequence[str]) -> tuple[float, float]:
    """The least and the greatest value of the mean of these metrics."""
    return -sum(metric in CORRELATIONS for metric in metrics) / len(metrics), 1.0


def _shares(weights: Array, values: Array) -> Array:
    """Weighted means (resamples, runs) of `values` (runs, items)."""
    means: Array = weights @ values.T / weights.sum(1, keepdims=True)
    return means


def _by_class_counts(
    labels: Array, predictions: Array, weights: Array, of_run: Callable[[Array, Array, Array], Array]
) -> Array:
    """`of_run` of each run's hits, predictions and labels a class, each (resamples, classes)."""
    classes = np.unique(np.concatenate([labels, predictions.ravel()]))
    is_label = (labels[:, None] == classes).astype(np.float64)
    true = weights @ is_label
    columns = []
    for run in predictions:
        is_predicted = (run[:, None] == classes).astype(np.float64)
        columns.append(of_run(weights @ (is_predicted * is_label), weights @ is_predicted, true))
    return np.stack(columns, axis=1)


def _centred(values: Array) -> Array:
    """`values` (runs, items) less their means; exactly 0 where a run is constant."""
    centred = values - values.mean(1, keepdims=True)
    constant = np.ptp(values, axis=1, keepdims=True) <= ROUNDING * np.abs(values).max(1, keepdims=True)
    return np.where(constant, 0.0, centred)


def _centred_ranks(values: Array, weights: Array) -> Array:
    """The mean rank of each item (resamples, items) less the mean of all ranks, as if items were repeated."""
    _, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    sizes = np.add.reduceat(weights[:, order], starts, axis=1)
    below = np.cumsum(sizes, axis=1) - sizes
    ranks: Array = (below + (sizes - weights.sum(1, keepdims=True)) / 2)[:, group]
    return ranks
