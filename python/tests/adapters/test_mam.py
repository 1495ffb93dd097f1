"""MAM of arXiv 2110.04366: a prefix at every attention, a scaled parallel adapter beside every MLP."""

from __future__ import annotations

import torch
from problems import problem

from espalier_runtime import contract
from espalier_runtime.backbone.sites import find_sites
from espalier_runtime.search.fixed import uniform
from espalier_runtime.structure.space import build_space


def mam(size: int) -> contract.Space:
    return contract.Space.model_validate(
        {
            "slots": ["attention", "mlp"],
            "layers": None,
            "kinds": [
                {"kind": "prefix", "tokens": [size]},
                {"kind": "scaledParallel", "sizes": [size], "slots": ["mlp"]},
            ],
        }
    )


def test_it_has_the_papers_count_on_roberta_base_and_a_mass_a_prefix_token() -> None:
    from transformers import RobertaConfig, RobertaModel

    with torch.device("meta"):
        model = RobertaModel(RobertaConfig())
    space = build_space(mam(16), find_sites(model))
    assert [(c.site.slot, c.kind) for c in space.candidates[:2]] == [("attention", "prefix"), ("mlp", "scaledParallel")]
    assert len(space.candidates) == 2 * 12
    # 16 keys and values, and 16 columns down and up, in each of 12 layers of width 768: 0.47 % of 125 million.
    assert space.parameters == 12 * (2 * 16 * 768 + 2 * 16 * 768) + 12 * 16 == 589_824 + 192


def test_uniform_over_all_kinds_is_the_whole_of_it() -> None:
    given = problem(1_000_000, space=mam(2))
    found = uniform(given, "all", "mam").structure
    assert set(found.candidates) == set(given.space.candidates)
    assert {candidate.kind for candidate in uniform(given, None, "first").structure.candidates} == {"prefix"}
