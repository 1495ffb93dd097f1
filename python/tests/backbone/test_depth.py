"""The states of every layer, as transformers gives them itself."""

from __future__ import annotations

import pytest
import torch
from conftest import FAMILIES, inputs, padded, tiny

from espalier_runtime.backbone.depth import pooled_layers
from espalier_runtime.errors import InputError

TEXT = sorted(family for family in FAMILIES if family not in ("vit", "opt"))


@pytest.mark.parametrize("family", TEXT)
def test_every_family_gives_the_states_that_enter_each_layer_and_those_of_the_last(family: str) -> None:
    backbone = tiny(family)
    given = padded(*inputs())
    with torch.no_grad():
        found = backbone.every_layer(given)
        output = backbone.model(**given.arguments(backbone.form, backbone.model), output_hidden_states=True)
    assert len(found) == backbone.layers + 1
    # The last that transformers lists is, by family, before or after a final norm.
    for ours, theirs in zip(found[:-1], output.hidden_states, strict=False):
        torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(found[-1], output.last_hidden_state)
    assert pooled_layers(backbone, given, "mean").shape == (3, backbone.layers + 1, backbone.hidden)


def test_layers_of_another_width_than_the_outputs_cannot_be_mixed() -> None:
    with pytest.raises(InputError, match="training.headLayers.*24 and 32"):
        pooled_layers(tiny("opt"), padded(*inputs()), "mean")
