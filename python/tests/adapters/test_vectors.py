from __future__ import annotations

import pytest
import torch
from conftest import inputs, padded, tiny
from places import filled, layer

from espalier_runtime import contract
from espalier_runtime.adapters.vectors import BITFIT, IA3, NORM_TUNING
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


def test_bitfit_adds_to_the_linears_bias() -> None:
    adapter = filled(BITFIT.build(layer()["mlp.up"], [(0, 1)], 0))
    linear = torch.nn.Linear(8, 12)
    x = torch.randn(2, 3, 8)
    expected = torch.nn.functional.linear(x, linear.weight, linear.bias + adapter.shift[0])
    torch.testing.assert_close(adapter(x, linear(x)), expected)


def test_norm_tuning_is_a_norm_with_another_weight_and_bias() -> None:
    adapter = filled(NORM_TUNING.build(layer()["mlp.norm"], [(0, 1)], 0))
    norm = torch.nn.LayerNorm(8)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = torch.randn(2, 3, 8)
    weight, bias = norm.weight * (1 + adapter.scale[0]), norm.bias * (1 + adapter.scale[0]) + adapter.shift[0]
    expected = torch.nn.functional.layer_norm(x, (8,), weight, bias)
    torch.testing.assert_close(adapter(x, norm(x)), expected)


@pytest.mark.parametrize(
    ("kind", "slot", "parameters"),
    [(BITFIT, "mlp.up", 12), (IA3, "attention.key", 8), (IA3, "mlp.down", 12), (NORM_TUNING, "attention.norm", 16)],
)
def test_costs_its_vectors(kind: object, slot: str, parameters: int) -> None:
    assert kind.parameters(layer()[slot], 1) == parameters
