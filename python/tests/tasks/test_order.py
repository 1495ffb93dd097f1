from __future__ import annotations

import torch

from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.tasks.order import BatchOrder
from espalier_runtime.tasks.tokenise import TokenIds


def made() -> BatchOrder:
    rows = [(0, TokenIds([5] * (3 + row % 4), None, False), 0.0) for row in range(15)]
    return BatchOrder(Corpus(["task"], rows, 0, torch.device("cpu")), [10, 11, 12, 13, 14], batch_size=2, seed=1)


def test_each_epoch_holds_every_row_once_in_an_order_of_its_own() -> None:
    order = made()
    epochs = []
    for _ in range(2):
        seen = []
        while True:
            seen.append(order.next())
            if order.epoch_is_over:
                break
        epochs.append(seen)
    assert all(sorted(row for batch in epoch for row in batch) == [10, 11, 12, 13, 14] for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_goes_on_where_it_was_saved() -> None:
    for taken in range(7):
        first, second = made(), made()
        for _ in range(taken):
            first.next()
        second.load_state_dict(first.state_dict())
        assert [second.next() for _ in range(5)] == [first.next() for _ in range(5)]
