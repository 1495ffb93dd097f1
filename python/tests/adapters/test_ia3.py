from __future__ import annotations

import torch
from conftest import inputs, padded, tiny
from places import filled, layer

from espalier_runtime import contract
from espalier_runtime.adapters.ia3 import IA3
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import build_space


def test_ia3_gives_what_pefts_ia3_gives_for_the_same_vectors() -> None:
    from peft import IA3Config, get_peft_model

    backbone = tiny("bert")
    spec = {"slots": ["attention", "mlp"], "layers": None, "kinds": [{"kind": "ia3"}]}
    space = build_space(contract.Space.model_validate(spec), backbone.sites)
    pool = AdapterPool(space.candidates, space.kinds, 0)
    for module in pool.members():
        filled(module)
    ids, mask = inputs()
    with torch.no_grad(), pool.attached(backbone.model):
        ours = backbone.states(padded(ids, mask))
    modules = [module.site.module for module in pool.members()]
    config = IA3Config(target_modules=modules, feedforward_modules=[name for name in modules if "output.dense" in name])
    theirs = get_peft_model(backbone.model, config)
    for module in pool.members():
        layer_of_peft = theirs.base_model.model.get_submodule(module.site.module)
        layer_of_peft.ia3_l["default"].data.copy_(1 + module.scale[0].view_as(layer_of_peft.ia3_l["default"]))
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


def test_costs_a_vector_as_wide_as_what_it_multiplies() -> None:
    assert IA3.parameters(layer()["attention.key"], 1) == 8
    assert IA3.parameters(layer()["mlp.down"], 1) == 12
