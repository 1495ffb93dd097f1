"""Scores of written texts, one a row, from 0 to 1; a task's score is their mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from espalier_runtime.errors import InputError


def text_scores(metric: str, references: Sequence[str], texts: Sequence[str]) -> NDArray[np.float64]:
    """(rows,) of `exactMatch`, 1 where a text is the reference but for outer white space, or of `rougeL`.

    ROUGE-L's F measure comes from Google's rouge_score, without stemming. Raises InputError where it is not installed.
    """
    pairs = list(zip(references, texts, strict=True))
    if metric == "exactMatch":
        return np.asarray([reference.strip() == text.strip() for reference, text in pairs], dtype=np.float64)
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise InputError(
            "metric: rougeL needs the Python package rouge_score, which is not installed here",
            mend="Install it into this Python: pip install --no-deps rouge-score absl-py nltk defusedxml six",
        ) from error
    scorer = RougeScorer(["rougeL"])
    return np.asarray([scorer.score(reference, text)["rougeL"].fmeasure for reference, text in pairs])
