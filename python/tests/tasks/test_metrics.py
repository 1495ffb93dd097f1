"""The metrics against scikit-learn and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from espalier_runtime.errors import TrialError
from espalier_runtime.tasks.metrics import METRICS, default_metric, range_of, score, weighted_scores

REFERENCES = {
    "accuracy": accuracy_score,
    "f1": lambda labels, predictions: f1_score(labels, predictions, average="macro", zero_division=0),
    "matthews": matthews_corrcoef,
    "pearson": lambda labels, predictions: stats.pearsonr(labels, predictions).statistic,
    "spearman": lambda labels, predictions: stats.spearmanr(labels, predictions).statistic,
    # Of texts, whose predictions are their scores.
    "exactMatch": lambda labels, predictions: predictions.mean(),
    "rougeL": lambda labels, predictions: predictions.mean(),
}

#: Those that compare labels and predictions themselves.
OF_LABELS = ("accuracy", "f1", "matthews", "pearson", "spearman")


def data(metric: str, seed: int, items: int = 60) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    if metric in ("pearson", "spearman"):
        labels = random.integers(0, 6, items) / 2
        return labels, np.round(labels + random.normal(size=items), 1) + 1000
    labels = random.integers(0, 4, items).astype(float)
    return labels, np.where(random.random(items) < 0.6, labels, random.integers(0, 5, items)).astype(float)


@pytest.mark.parametrize("metric", sorted(METRICS))
@pytest.mark.parametrize("seed", range(5))
def test_a_score_is_that_of_the_library(metric: str, seed: int) -> None:
    labels, predictions = data(metric, seed)
    assert score(metric, labels, predictions) == pytest.approx(REFERENCES[metric](labels, predictions), abs=1e-12)


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_weights_are_repeated_items(metric: str) -> None:
    labels, first = data(metric, 0)
    _, second = data(metric, 1)
    weights = np.random.default_rng(2).multinomial(60, np.full(60, 1 / 60), 10)
    scores = weighted_scores(metric, labels, [first, second], weights)
    assert scores.shape == (10, 2)
    for resample, counts in enumerate(weights):
        for run, predictions in enumerate((first, second)):
            expected = REFERENCES[metric](np.repeat(labels, counts), np.repeat(predictions, counts))
            assert scores[resample, run] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", ["matthews", "pearson", "spearman"])
@pytest.mark.parametrize("constant", [0.0, 0.1, 3.3])
def test_a_constant_shows_no_relation(metric: str, constant: float) -> None:
    varied = np.arange(30) % 3
    assert score(metric, varied, np.full(30, constant)) == 0
    assert score(metric, np.full(30, constant), varied) == 0


@pytest.mark.parametrize("metric", ["pearson", "spearman"])
def test_a_resample_of_one_item_shows_no_relation(metric: str) -> None:
    weights = np.eye(5)[[2]] * 5
    assert weighted_scores(metric, [1, 2, 3, 4, 5.5], [[1, 3, 2, 5, 4.1]], weights).tolist() == [[0.0]]


def test_a_perfect_prediction_scores_one_and_a_reversed_one_minus_one() -> None:
    labels = np.array([0.0, 1, 1, 0, 1])
    assert [score(metric, labels, labels) for metric in OF_LABELS] == pytest.approx([1.0] * 5)
    for metric in ("matthews", "pearson", "spearman"):
        assert score(metric, labels, 1 - labels) == pytest.approx(-1)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_predictions_that_are_not_finite_are_an_error(bad: float) -> None:
    with pytest.raises(TrialError, match="1 of 3 predictions are not finite"):
        score("pearson", [1, 2, 3], [1, bad, 3])


def test_each_kind_has_its_metric() -> None:
    assert default_metric("classification") == "accuracy"
    assert default_metric("regression") == "pearson"


def test_a_mean_of_metrics_lies_between_the_means_of_their_ends() -> None:
    assert range_of(["accuracy"]) == (0.0, 1.0)
    assert range_of(["matthews"]) == (-1.0, 1.0)
    assert range_of(["accuracy", "pearson", "f1", "spearman"]) == (-0.5, 1.0)
