from __future__ import annotations

import torch
from places import layer

from espalier_runtime import contract
from espalier_runtime.adapters.unfolded import Unfolded, unfolded


def adapter(iterations: int) -> Unfolded:
    spec = contract.UnfoldedKind(kind="unfolded", sizes=[4], iterations=iterations, step=1.0, threshold=0.3, scale=1.0)
    return unfolded(spec).build(layer()["mlp"], [(0, 4)], 0)


def orthonormal(rows: int, width: int) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(width, rows)).Q.T


def test_one_step_is_the_closed_form_for_an_orthonormal_dictionary_and_stays_there() -> None:
    """argmin_u |x - W'u|^2 / 2 + theta |u|_1 = soft(W x, theta) where the rows of W are orthonormal."""
    one, five = adapter(1), adapter(5)
    atoms, x = orthonormal(4, 8), torch.randn(2, 3, 8)
    one.atoms.data, five.atoms.data = atoms, atoms
    pulled = x @ atoms.T
    closed = pulled.sign() * (pulled.abs() - 0.3).clamp_min(0)
    torch.testing.assert_close(one.inner(pulled), closed)
    torch.testing.assert_close(five.inner(pulled), closed)


def test_many_steps_lower_the_lasso_objective_of_any_dictionary() -> None:
    x = torch.randn(5, 8)
    objectives = []
    for iterations in (1, 2, 4, 16):
        made = adapter(iterations)
        u, atoms = made.inner(x @ made.atoms.T).detach(), made.atoms.detach()
        objectives.append(float(((x - u @ atoms).square().sum(-1) / 2 + 0.3 * u.abs().sum(-1)).sum()))
    assert objectives == sorted(objectives, reverse=True)
