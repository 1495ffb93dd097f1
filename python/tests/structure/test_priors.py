"""The priors' quadratic forms and filter, against dense linear algebra."""

from __future__ import annotations

import pytest
import torch
from problems import paths, problem
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.structure.priors import DepthGraph, Priors, TaskGraph
from espalier_runtime.structure.space import Candidate

CPU = torch.device("cpu")


def candidates() -> tuple[Candidate, ...]:
    """Three layers of two slots, of which the middle layer has one alone, with two paths each."""
    whole = problem(space=paths(2, slots=["attention.query", "mlp.up"])).space.candidates
    return tuple(c for c in whole if not (c.site.layer == 1 and c.site.slot == "mlp.up"))


def laplacian(given: tuple[Candidate, ...]) -> Tensor:
    """L = D - W, by comparing every pair of candidates."""
    key = [(c.site.slot, c.kind, c.path, c.start, c.size) for c in given]
    weights = torch.zeros(len(given), len(given), dtype=torch.float64)
    for i, a in enumerate(given):
        for j, b in enumerate(given):
            between = {c.site.layer for k, c in zip(key, given, strict=True) if k == key[i]}
            near = not any(a.site.layer < layer < b.site.layer for layer in between)
            if key[i] == key[j] and a.site.layer < b.site.layer and near:
                weights[i, j] = weights[j, i] = 1
    return torch.diag(weights.sum(1)) - weights


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def close(given: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(given, wanted, rtol=1e-12, atol=1e-12)


def test_smoothing_along_depth_is_the_laplacian_s_quadratic_form() -> None:
    given = candidates()
    logits = draw(3, len(given))
    wanted = torch.trace(logits @ laplacian(given) @ logits.t())
    close(DepthGraph(given, CPU).energy(logits), wanted)


@pytest.mark.parametrize("tau", [0.1, 1.0, 50.0])
def test_the_filter_damps_each_frequency_by_its_own_share(tau: float) -> None:
    given = candidates()
    graph, gradient = DepthGraph(given, CPU), draw(2, len(given))
    values, vectors = torch.linalg.eigh(laplacian(given))
    wanted = (gradient @ vectors) / (1 + tau * values) @ vectors.t()
    close(graph.filtered(gradient, tau), wanted)
    # The same as one implicit step of heat along the graph.
    close(wanted @ (torch.eye(len(given), dtype=torch.float64) + tau * laplacian(given)), gradient)
    same = torch.ones(len(given), dtype=torch.float64)
    close(graph.filtered(same, tau), same)


def test_tasks_are_related_by_the_cosine_of_their_gradients_and_never_pushed_apart() -> None:
    graph = TaskGraph(3, 2, CPU)
    assert graph.relations().tolist() == [[0.0] * 3] * 3
    graph.observe(torch.tensor([[3.0, 0.0], [3.0, 3.0], [-1.0, 0.0]]))
    root = 2**-0.5
    torch.testing.assert_close(graph.relations(), torch.tensor([[0, root, 0], [root, 0, 0], [0, 0, 0]]))


def test_the_graph_prior_is_half_the_weighted_squared_distances_of_the_rows() -> None:
    graph = TaskGraph(4, 6, CPU)
    graph.gradient = draw(4, 6, seed=1).abs()
    weights, logits = graph.relations(), draw(4, 6, seed=2)
    assert float(weights.min()) == 0
    assert torch.equal(weights, weights.t())
    laplacian = torch.diag(weights.sum(1)) - weights
    close(graph.energy(logits), torch.trace(logits.t() @ laplacian @ logits))
    distances = torch.cdist(logits, logits).square()
    close(graph.energy(logits), (weights * distances).sum() / 2)


def test_strengths_of_zero_compute_nothing() -> None:
    off = Priors(contract.Prior(), 2, candidates(), CPU)
    logits = torch.nn.Parameter(draw(2, len(candidates())))
    logits.grad = gradient = draw(2, len(candidates()), seed=1)
    off.weigh(gradient, logits, torch.optim.SGD([logits]))
    assert logits.grad is gradient
    assert torch.equal(gradient, draw(2, len(candidates()), seed=1))
    assert off.penalty(logits) is None
    assert off.state_dict() == {}
    assert Priors.of(None, 2, candidates(), CPU) is None
