from __future__ import annotations

from typing import Any

import pytest
import torch
from conftest import inputs, padded, tiny
from places import layer

from espalier_runtime import contract
from espalier_runtime.adapters.grasp import grasp
from espalier_runtime.adapters.stoch_grasp import stoch_grasp
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import build_space


def noisy(**changes: Any) -> contract.StochGraspKind:
    given = {"kind": "stochGrasp", "groups": [3], "grouping": "permuted", "start": 0.01, "target": 0.2, "weight": 2.0}
    return contract.StochGraspKind.model_validate({**given, **changes})


def test_noise_is_drawn_in_training_alone() -> None:
    adapter = stoch_grasp(noisy()).build(layer()["mlp.up"], [(0, 3)], 0)
    x = torch.randn(2, 3, 8)
    assert not torch.equal(adapter.entering(x), adapter.entering(x))
    assert torch.equal(adapter.eval().entering(x), x)
    torch.testing.assert_close(adapter.sigma(), torch.full((3,), 0.01))


def test_the_noise_matching_term_draws_sigma_to_its_target() -> None:
    adapter = stoch_grasp(noisy()).build(layer()["mlp.up"], [(0, 3)], 0)
    torch.testing.assert_close(adapter.penalty(), torch.tensor(2.0 * 0.19**2))
    optimiser = torch.optim.Adam([adapter.rho], lr=0.1)
    for _ in range(200):
        optimiser.zero_grad()
        adapter.penalty().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    torch.testing.assert_close(adapter.sigma(), torch.full((3,), 0.2), atol=1e-3, rtol=0.0)


@pytest.mark.parametrize("seed", range(3))
def test_under_noise_of_the_folded_weights_the_stochastic_form_classifies_better(seed: int) -> None:
    """W diag(1 / (gamma + 0.2 e)): alone, gamma shrinks to sharpen the logits, and a small gamma is mostly noise."""
    torch.manual_seed(seed)
    weight, x = torch.randn(3, 8), torch.randn(256, 8)
    labels = ((x * torch.linspace(0.3, 2, 8)) @ weight.t()).argmax(1)
    accuracies = []
    for kind in (
        grasp(contract.GraspKind(kind="grasp", groups=[8], grouping="permuted")),
        stoch_grasp(noisy(groups=[8], start=0.2, target=0.2)),
    ):
        adapter = kind.build(layer()["mlp.up"], [(0, 8)], 0)
        optimiser = torch.optim.Adam(adapter.parameters(), lr=0.02)
        for _ in range(300):
            optimiser.zero_grad()
            loss = torch.nn.functional.cross_entropy(adapter.entering(x) @ weight.t(), labels)
            penalty = adapter.penalty()
            (loss if penalty is None else loss + penalty).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        noise = torch.randn(200, 8, generator=torch.Generator().manual_seed(1))
        groups = kind.groups(layer()["mlp.up"])
        with torch.no_grad():
            gammas = (adapter.eval().gamma() + 0.2 * noise)[:, groups]
            logits = (x - adapter.beta[groups]) @ (weight / gammas.unsqueeze(1)).mT
            accuracies.append(float((logits.argmax(-1) == labels).float().mean()))
    deterministic, stochastic = accuracies
    assert stochastic > deterministic + 0.1


def test_the_pool_adds_up_the_terms() -> None:
    backbone = tiny("bert")
    given = {
        "slots": ["mlp"],
        "layers": [0],
        "kinds": [noisy().model_dump(), {"kind": "lora", "ranks": [1], "scale": 1}],
    }
    space = build_space(contract.Space.model_validate(given), backbone.sites)
    pool = AdapterPool(space.candidates, space.kinds, 0)
    penalty = pool.penalty()
    assert penalty is not None
    torch.testing.assert_close(penalty, torch.tensor(2 * 2.0 * 0.19**2))
    ids, mask = inputs()
    with pool.attached(backbone.model):
        assert torch.isfinite(backbone.states(padded(ids, mask))).all()
