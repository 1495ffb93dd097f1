from __future__ import annotations

import pytest
from conftest import tiny

from espalier_runtime import contract
from espalier_runtime.errors import InputError
from espalier_runtime.structure.space import Space, build_space


def space(**changes: object) -> contract.Space:
    given = {
        "slots": ["attention.query"],
        "layers": None,
        "kinds": [{"kind": "lora", "ranks": [1, 2, 8], "scale": 2.0}],
    }
    return contract.Space.model_validate({**given, **changes})


def built(**changes: object) -> Space:
    return build_space(space(**changes), tiny("bert").sites)


def test_each_step_from_one_size_to_the_next_is_a_candidate() -> None:
    first = [c for c in built().candidates if c.site.layer == 0]
    assert [(c.start, c.size, c.level, c.parameters) for c in first] == [(0, 1, 0, 64), (1, 1, 1, 64), (2, 6, 2, 384)]
    assert first[2].id == "layers.0.attention.query/lora[2:8]"


def test_attention_stands_for_its_linears_when_the_kind_is_lora() -> None:
    slots = {c.site.slot for c in built(slots=["attention"]).candidates}
    assert slots == {"attention.query", "attention.key", "attention.value", "attention.output"}


def test_layers_can_be_chosen() -> None:
    assert {c.site.layer for c in built(layers=[0, 2]).candidates} == {0, 2}


def test_a_layer_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match="layer 7 does not exist; the backbone has layers 0 to 2"):
        built(layers=[0, 7])


def test_a_slot_the_family_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(InputError, match='no slot "mlp.gate"') as caught:
        built(slots=["attention.query", "mlp.gate"])
    assert "mlp.up" in str(caught.value.mend)


def test_a_slot_that_no_kind_can_use_is_refused() -> None:
    with pytest.raises(InputError, match=r'space\.slots\[1\].*none of the kinds lora can attach at "block"'):
        built(slots=["attention.query", "block"])


def test_a_kind_that_no_slot_can_hold_is_refused() -> None:
    kinds = [
        {"kind": "lora", "ranks": [1], "scale": 2.0},
        {"kind": "bottleneck", "sizes": [4], "activation": "gelu", "scale": 1.0},
    ]
    with pytest.raises(InputError, match=r'space\.kinds\[1\]: "bottleneck" can attach at none'):
        built(kinds=kinds)


@pytest.mark.parametrize(
    "kind",
    [
        {"kind": "unfolded", "sizes": [2], "iterations": 3, "step": 0.5, "threshold": 0.01, "scale": 1.0},
        {"kind": "uTuning", "sizes": [2], "activation": "softmax", "scale": 1.0},
    ],
)
def test_a_kind_whose_units_work_together_has_one_path(kind: dict[str, object]) -> None:
    assert built(slots=["mlp"], kinds=[kind]).candidates
    with pytest.raises(InputError, match=r"space.paths: 2 paths of \"\w+\" do not add up"):
        built(slots=["mlp"], kinds=[kind], paths=2)
