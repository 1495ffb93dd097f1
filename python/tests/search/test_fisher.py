from __future__ import annotations

import pytest
import torch
from problems import problem

from espalier_runtime import contract
from espalier_runtime.errors import InputError
from espalier_runtime.search.eva import explained_variance, search_eva
from espalier_runtime.search.fisher import fisher, search_fisher
from espalier_runtime.search.methods import find_structure

WEIGHTS = {
    "layers.1.mlp.up": "encoder.layer.1.intermediate.dense.weight",
    "layers.2.mlp.down": "encoder.layer.2.output.dense.weight",
}


def space(*kinds: dict[str, object]) -> contract.Space:
    return contract.Space.model_validate({"slots": ["attention", "mlp"], "layers": None, "kinds": list(kinds)})


@pytest.mark.parametrize("site", WEIGHTS)
def test_the_spectrum_is_that_of_the_rows_own_gradients(site: str) -> None:
    given = problem(tasks=1)
    rows = given.sample(0, 5)
    spectra, _ = fisher(given, rows)
    model = given.model()
    weight = given.backbone.model.get_parameter(WEIGHTS[site]).requires_grad_()
    of_reads = weight.shape[1] <= weight.shape[0]
    energy = torch.zeros(min(weight.shape), min(weight.shape))
    for row in rows:
        (gradient,) = torch.autograd.grad(model.losses(given.corpus.batch([row]), None).sum(), weight)
        energy += (gradient.t() @ gradient if of_reads else gradient @ gradient.t()) / len(rows)
    expected = torch.linalg.eigvalsh(energy.double()).flip(0)
    torch.testing.assert_close(spectra[site, "lora"], expected, atol=1e-7, rtol=1e-3)


def test_another_kind_s_information_is_its_rows_mean_squared_gradient() -> None:
    given = problem(tasks=1, space=space({"kind": "bitfit"}))
    rows = given.sample(0, 3)
    _, others = fisher(given, rows)
    bias = given.backbone.model.get_parameter("encoder.layer.0.output.dense.bias").requires_grad_()
    model = given.model()
    squares = [
        float(torch.autograd.grad(model.losses(given.corpus.batch([row]), None).sum(), bias)[0].square().sum())
        for row in rows
    ]
    assert others["layers.0.mlp.down/bitfit[0:1]"] == pytest.approx(sum(squares) / 3, rel=1e-4)


def test_rows_that_pull_apart_do_not_cancel() -> None:
    given = problem(tasks=1)
    for rows in (given.sample(0, 6), given.sample(0, 6)[:1]):
        spectra, _ = fisher(given, rows)
        assert float(spectra["layers.0.mlp.up", "lora"][0]) > 0


def test_the_explained_variance_is_that_of_the_tokens_and_knows_no_padding() -> None:
    given = problem(tasks=1)
    rows = given.sample(0, 7)
    heard: list[torch.Tensor] = []
    module = given.backbone.model.get_submodule("encoder.layer.1.intermediate.dense")
    listening = module.register_forward_pre_hook(lambda _, args: heard.append(args[0].reshape(-1, args[0].shape[-1])))
    found = explained_variance(given, rows)["layers.1.mlp.up", "lora"]
    listening.remove()
    tokens = torch.cat(heard).double()
    assert len(tokens) == sum(given.corpus.lengths[row] for row in rows)
    sigma = torch.linalg.svdvals(tokens - tokens.mean(0))
    torch.testing.assert_close(found[: len(sigma)], sigma.square() / sigma.square().sum(), atol=1e-6, rtol=1e-4)


def test_each_gives_a_structure_within_the_budget_and_the_same_one_again() -> None:
    specs = [
        contract.FisherMethod(method="fisher", name="f", fit="retrain", rows=6),
        contract.EvaMethod(method="eva", name="e", fit="retrain", rows=6),
    ]
    for spec in specs:
        given = problem()
        found = find_structure(given, spec, 0)
        assert 936 < found.structure.union <= 1000
        assert found.structure == find_structure(problem(), spec, 0).structure
        assert not any("forward" in vars(module) for module in given.backbone.model.modules())
        assert all(weight.grad is None for weight in given.backbone.model.parameters())


def test_fisher_scores_kinds_of_every_form_and_eva_says_which_it_cannot() -> None:
    mixed = space({"kind": "lora", "ranks": [1], "scale": 2.0}, {"kind": "ia3"}, {"kind": "normTuning"})
    given = problem(tasks=1, space=mixed)
    found = search_fisher(given, contract.FisherMethod(method="fisher", rows=4), "fisher")
    assert found.structure.union <= 1000
    with pytest.raises(InputError, match="space.kinds has ia3, normTuning$") as caught:
        search_eva(given, contract.EvaMethod(method="eva", rows=4), "eva")
    assert "search.fisher" in str(caught.value.mend)
