from __future__ import annotations

import pytest
import torch
from conftest import tiny

from espalier_runtime.backbone.load import as_backbone
from espalier_runtime.errors import InputError


def test_every_family_has_nine_slots_a_layer(family: str) -> None:
    backbone = tiny(family)
    assert backbone.layers == 3
    assert [site.slot for site in backbone.sites if site.layer == 1] == [
        "attention.query",
        "attention.key",
        "attention.value",
        "attention.output",
        "mlp.up",
        "mlp.down",
        "attention",
        "mlp",
        "block",
    ]


def test_linear_sites_are_linears_of_the_shape_they_say(family: str) -> None:
    backbone = tiny(family)
    for site in backbone.sites:
        module = backbone.model.get_submodule(site.module)
        if "." in site.slot:
            assert isinstance(module, torch.nn.Linear)
            assert (site.inputs, site.outputs) == (module.in_features, module.out_features)
    shapes = {site.slot: (site.inputs, site.outputs) for site in backbone.sites}
    assert shapes["mlp.up"] == (32, 48)
    assert shapes["mlp.down"] == (48, 32)
    assert shapes["block"] == (32, 32)


def test_an_unknown_family_is_named_with_the_modules_found() -> None:
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.for_model("fnet", hidden_size=16, num_hidden_layers=1, intermediate_size=16, vocab_size=50)
    with pytest.raises(InputError, match=r'"fnet" is not known.*encoder\.layer\.\*\.intermediate\.dense') as caught:
        as_backbone(AutoModel.from_config(config), None, "fnet")
    assert "distilbert" in str(caught.value.mend)
