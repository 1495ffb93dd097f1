from __future__ import annotations

import pytest
import torch

from espalier_runtime.backbone.layout import Layout, Packed, Padded

LENGTHS = [3, 1, 4, 3]
CPU = torch.device("cpu")


def rows() -> list[torch.Tensor]:
    """Row r's token t is the number 10 r + t."""
    return [10 * row + torch.arange(length) for row, length in enumerate(LENGTHS)]


@pytest.fixture(params=[Padded, Packed])
def layout(request: pytest.FixtureRequest) -> Layout:
    made: Layout = request.param.of(LENGTHS, CPU)
    return made


def test_padded_rows_are_filled_on_the_right() -> None:
    layout = Padded.of(LENGTHS, CPU)
    assert layout.mask.tolist() == [[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1], [1, 1, 1, 0]]
    assert layout.lay(rows(), fill=7).tolist() == [[0, 1, 2, 7], [10, 7, 7, 7], [20, 21, 22, 23], [30, 31, 32, 7]]


def test_packed_rows_lie_one_after_the_other_the_shortest_first() -> None:
    layout = Packed.of(LENGTHS, CPU)
    assert layout.stacks == ((1, 1), (2, 3), (1, 4))
    assert layout.lay(rows()).tolist() == [[10, 0, 1, 2, 30, 31, 32, 20, 21, 22, 23]]
    assert layout.positions.tolist() == [[0, 0, 1, 2, 0, 1, 2, 0, 1, 2, 3]]
    assert layout.starts.tolist() == [1, 0, 7, 4]
    assert layout.ends.tolist() == [3, 0, 10, 6]


def test_pooling_gives_the_batchs_rows_in_their_order(layout: Layout) -> None:
    states = layout.lay([row.float().unsqueeze(1) for row in rows()], fill=1000)
    assert layout.mean(states).tolist() == [[1.0], [10.0], [21.5], [31.0]]
    assert layout.first(states).tolist() == [[0.0], [10.0], [20.0], [30.0]]
    assert layout.last(states).tolist() == [[2.0], [10.0], [23.0], [32.0]]


def test_what_was_laid_is_read_back_row_by_row(layout: Layout) -> None:
    states = layout.lay([row.float().unsqueeze(1) for row in rows()])
    assert [row.squeeze(1).tolist() for row in layout.rows(states)] == [row.tolist() for row in rows()]


def test_a_rows_values_reach_all_of_its_tokens(layout: Layout) -> None:
    values = torch.arange(4.0).unsqueeze(1)
    zeros = layout.lay([torch.zeros(length, 1) for length in LENGTHS])
    spread = layout.rows(zeros + layout.spread(values))
    assert [row.squeeze(1).tolist() for row in spread] == [[float(row)] * length for row, length in enumerate(LENGTHS)]
