"""The evaluation splits are handed out once a reader, and to nobody while work goes on."""

from __future__ import annotations

import pytest
from problems import corpus

from espalier_runtime.tasks.sealed import SealedError, SealedSplits


def test_each_reader_gets_the_splits_once() -> None:
    split = corpus(tasks=1)
    sealed = SealedSplits([split])
    assert sealed.open("a") == sealed.open("b") == (split,)
    with pytest.raises(SealedError, match="a asked for the evaluation split a second time"):
        sealed.open("a")
    assert sealed.readers == ("a", "b")


def test_nobody_gets_them_during_work() -> None:
    sealed = SealedSplits([corpus(tasks=1)])
    with sealed.shut("the search"), pytest.raises(SealedError, match="during the search"):
        sealed.open("a")
    assert sealed.open("a")
