"""The geometry of directional alignment, against dense linear algebra."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from espalier_runtime.merge.directional import directional, nearest_frame, onto_simplex, simplex
from espalier_runtime.merge.update import Update

GENERATOR = torch.Generator().manual_seed(7)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=GENERATOR)


def close(given: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(given, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("n", [2, 3, 7])
def test_the_simplex_has_unit_vectors_at_equal_angles_that_sum_to_zero(n: int) -> None:
    vertices = simplex(nearest_frame(draw(12, n)))
    gram = torch.full((n, n), -1 / (n - 1), dtype=torch.float64)
    gram.fill_diagonal_(1.0)
    close(vertices.t() @ vertices, gram)
    close(vertices.sum(1), torch.zeros(12, dtype=torch.float64))
    # A tight frame of its span: E E' is a multiple of the projection onto it.
    close(vertices @ vertices.t(), n / (n - 1) * (vertices @ torch.linalg.pinv(vertices)))


def test_the_projection_is_e_times_its_pseudo_inverse() -> None:
    frame, x = nearest_frame(draw(9, 4)), draw(9, 5)
    vertices = simplex(frame)
    close(onto_simplex(frame, x), vertices @ (torch.linalg.pinv(vertices) @ x))


def test_the_frame_is_the_nearest_of_all_orthonormal_ones_and_leaves_orthonormal_directions_alone() -> None:
    directions = draw(8, 3)
    frame = nearest_frame(directions)
    close(frame.t() @ frame, torch.eye(3, dtype=torch.float64))
    close(nearest_frame(frame), frame)
    distance = float((directions - frame).norm())
    for _ in range(20):
        other = frame @ torch.linalg.qr(draw(3, 3))[0]
        assert float((directions - other).norm()) >= distance


def test_directions_that_repeat_others_count_once() -> None:
    directions = draw(6, 3)
    close(nearest_frame(torch.cat([directions, directions[:, :1]], 1)), nearest_frame(directions))
    assert nearest_frame(draw(3, 5)).shape == (3, 3)


def test_merging_keeps_of_the_sum_what_the_simplex_spans() -> None:
    updates = [Update(draw(10, rank), draw(rank, 7)) for rank in (1, 2, 3)]
    merged = directional(updates, 0.5).dense()
    summed = torch.stack([update.dense() for update in updates]).sum(0)
    basis = torch.linalg.svd(summed, full_matrices=False)[0][:, :6]
    lost = 0.5 * summed - merged
    # One direction of six is lost, and what is kept is orthogonal to it.
    assert int(torch.linalg.matrix_rank(lost, atol=1e-9)) == 1
    close(lost.t() @ merged, torch.zeros(7, 7, dtype=torch.float64))
    close(basis @ (basis.t() @ merged), merged)


def test_two_orthogonal_directions_give_the_textbook_case() -> None:
    first = Update(torch.tensor([[1.0], [0], [0]]).double(), torch.tensor([[2.0, 0.0]]).double())
    second = Update(torch.tensor([[0.0], [1], [0]]).double(), torch.tensor([[0.0, 4.0]]).double())
    # P = (e1, e2); the simplex is +-(e1 - e2) / sqrt 2, so that E E+ = (e1 - e2)(e1 - e2)' / 2.
    close(directional([first, second], 1.0).dense(), torch.tensor([[1.0, -2.0], [-1.0, 2.0], [0.0, 0.0]]).double())
    close(simplex(torch.eye(2).double()), torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).double() / math.sqrt(2))


def test_what_one_task_alone_does_and_what_tasks_do_alike_is_kept() -> None:
    alone = Update(draw(6, 2), draw(2, 5))
    close(directional([alone], 0.5).dense(), 0.5 * alone.dense())
    single = Update(draw(6, 1), draw(1, 5))
    close(directional([single, single], 0.5).dense(), single.dense())


def test_the_factors_of_an_update_do_not_matter() -> None:
    a, b = Update(draw(8, 2), draw(2, 6)), Update(draw(8, 3), draw(3, 6))
    mix = draw(2, 2)
    same = Update(a.up @ mix, torch.linalg.solve(mix, a.down))
    close(directional([a, b], 1.0).dense(), directional([same, b], 1.0).dense())
