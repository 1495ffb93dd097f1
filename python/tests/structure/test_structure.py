from __future__ import annotations

import pytest
import torch
from conftest import tiny

from espalier_runtime import contract
from espalier_runtime.errors import InputError, TrialError
from espalier_runtime.structure.limits import Limits
from espalier_runtime.structure.space import Space, build_space
from espalier_runtime.structure.stated import limits_of
from espalier_runtime.structure.structure import from_record, harden, to_record

KINDS = [contract.LoraKind(kind="lora", ranks=[1, 2], scale=2.0)]


def small_space() -> Space:
    spec = contract.Space(slots=["attention.query", "mlp.up"], layers=[0, 1], kinds=KINDS)
    return build_space(spec, tiny("bert").sites)  # costs: 64, 64, 80, 80 a layer


def allowed(parameters: int) -> Limits:
    space = small_space()
    return limits_of(contract.Budget(parameters=parameters), space, 20_000, None)


def test_fills_by_score_and_skips_what_no_longer_fits() -> None:
    scores = torch.tensor([[0.1, 0.2, 0.9, 0.8, 0.3, 0.0, 0.0, 0.0]])
    found = harden(scores, small_space(), allowed(160 + 64), ["a"], "m")
    assert [c.id for c in found.candidates] == [
        "layers.0.mlp.up/lora[0:1]",
        "layers.0.mlp.up/lora[1:2]",
        "layers.1.attention.query/lora[0:1]",
    ]
    assert found.union == 224


def test_never_exceeds_the_budget() -> None:
    space = small_space()
    for seed in range(50):
        generator = torch.Generator().manual_seed(seed)
        budget = int(torch.randint(64, space.parameters, (1,), generator=generator))
        scores = torch.rand(2, len(space.candidates), generator=generator)
        found = harden(scores, space, allowed(budget), ["a", "b"], "m")
        left = budget - found.union
        cheapest_left = min((c.parameters for c in space.candidates if c not in found.candidates), default=budget + 1)
        assert 0 <= left < cheapest_left


def test_equal_scores_go_to_the_cheaper_and_then_to_the_higher_layer() -> None:
    found = harden(torch.ones(1, 8), small_space(), allowed(128), ["a"], "m")
    assert [c.id for c in found.candidates] == [
        "layers.1.attention.query/lora[0:1]",
        "layers.1.attention.query/lora[1:2]",
    ]


def test_a_task_keeps_what_it_wants_at_least_half_as_much_as_the_keenest_task() -> None:
    scores = torch.tensor([[0.8, 0.0, 0.0, 0.0, 0.6, 0, 0, 0], [0.4, 0.0, 0.0, 0.0, 0.29, 0, 0, 0]])
    found = harden(scores, small_space(), allowed(128), ["a", "b"], "m")
    assert found.rows == ((True, True), (True, False))
    assert (found.parameters("a"), found.parameters("b"), found.union) == (128, 64, 128)


def test_a_score_that_is_not_finite_ends_the_trial() -> None:
    with pytest.raises(TrialError, match="not finite"):
        harden(torch.full((1, 8), float("nan")), small_space(), allowed(128), ["a"], "m")


def test_survives_writing_and_reading() -> None:
    backbone, space = tiny("bert"), small_space()
    scores = torch.rand(2, 8, generator=torch.Generator().manual_seed(0))
    found = harden(scores, space, allowed(300), ["a", "b"], "m")
    text = to_record(found, backbone, space).model_dump_json(by_alias=True)
    assert from_record(contract.Structure.model_validate_json(text), backbone.sites, space.kinds) == found


def test_a_structure_of_a_larger_backbone_is_refused() -> None:
    backbone, space = tiny("bert"), small_space()
    record = to_record(harden(torch.ones(1, 8), space, allowed(128), ["a"], "m"), backbone, space)
    with pytest.raises(InputError, match='no site "layers.1.attention.query"'):
        from_record(record, [site for site in backbone.sites if site.layer == 0], space.kinds)


def test_units_that_stand_for_a_share_of_a_site_are_refused_where_the_shares_are_others() -> None:
    def grasps(groups: list[int]) -> Space:
        kinds = [{"kind": "grasp", "groups": groups}]
        spec = contract.Space.model_validate({"slots": ["mlp"], "layers": None, "kinds": kinds})
        return build_space(spec, backbone.sites)

    backbone = tiny("bert")
    four = grasps([4])
    limits = limits_of(contract.Budget(parameters=20), four, 20_000, None)
    found = harden(torch.ones(1, len(four.candidates)), four, limits, ["task"], "m")
    record = to_record(found, backbone, four)
    assert from_record(record, backbone.sites, grasps([2, 4]).kinds).candidates[0].size == 4
    with pytest.raises(InputError, match=r"units of 4 at most, those of this space are of 16") as caught:
        from_record(record, backbone.sites, grasps([4, 16]).kinds)
    assert "up to 4" in str(caught.value.mend)
