from __future__ import annotations

import dataclasses

import pytest
import torch
from conftest import FAMILIES, inputs, padded, tiny

STARTING = sorted(family for family in FAMILIES if tiny(family).form.starts)


def test_all_families_start_at_a_layer_but_those_that_share_a_bias_or_read_images() -> None:
    assert set(FAMILIES) - set(STARTING) == {"t5", "t5/gated", "vit"}


@pytest.mark.parametrize("family", STARTING)
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_from_the_states_that_enter_a_layer_on_the_model_gives_what_it_gives_as_a_whole(
    family: str, layer: int
) -> None:
    backbone = tiny(family)
    given = padded(*inputs())
    with torch.no_grad():
        whole = backbone.states(given)
        entering = backbone.entering(given, layer)
        started = backbone.states(dataclasses.replace(given, entering=entering, start=layer))
        again = backbone.states(given)
    assert torch.equal(started, whole)
    assert torch.equal(again, whole)


def test_the_layers_below_do_not_run_and_those_above_are_not_reached() -> None:
    backbone = tiny("bert")
    ran: list[int] = []
    for index, layer in enumerate(backbone.model.encoder.layer):
        layer.attention.register_forward_hook(lambda *_, index=index: ran.append(index))
    given = padded(*inputs())
    entering = backbone.entering(given, 2)
    assert ran == [0, 1]
    ran.clear()
    backbone.states(dataclasses.replace(given, entering=entering, start=2))
    assert ran == [2]
