from __future__ import annotations

import sys

import pytest

from espalier_runtime.errors import InputError
from espalier_runtime.tasks.written import text_scores


def test_an_exact_match_forgives_outer_white_space_alone() -> None:
    assert text_scores("exactMatch", ["Paris"] * 3, [" Paris\n", "paris", "Paris."]).tolist() == [1, 0, 0]


def test_rouge_l_is_the_f_measure_of_the_longest_common_subsequence() -> None:
    pytest.importorskip("rouge_score")
    # LCS "a b d" of 4 and 3 words: precision 1, recall 3/4.
    assert text_scores("rougeL", ["a b c d"], ["a b d"]).tolist() == pytest.approx([2 * 0.75 / 1.75])


def test_without_its_package_rouge_l_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rouge_score.rouge_scorer", None)
    with pytest.raises(InputError, match="needs the Python package rouge_score"):
        text_scores("rougeL", ["a"], ["a"])
