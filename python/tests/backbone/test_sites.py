from __future__ import annotations

from typing import Any

import pytest
import torch
from conftest import states, tiny
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from espalier_runtime import contract
from espalier_runtime.adapters.attach import attached
from espalier_runtime.adapters.base import Hook
from espalier_runtime.backbone.families import BLOCK_SLOTS, FAMILIES, LINEAR_SLOTS, NORM_SLOTS
from espalier_runtime.backbone.load import Backbone, as_backbone
from espalier_runtime.backbone.part import Part
from espalier_runtime.backbone.sites import Site
from espalier_runtime.errors import InputError

#: The slots that a tiny model lacks.
WITHOUT_GATE = {"mlp.gate"}
LACKING = {
    **dict.fromkeys(["bert", "roberta", "electra", "mpnet", "distilbert", "deberta-v2", "t5"], WITHOUT_GATE),
    **dict.fromkeys(["gpt2", "opt", "gpt_neox", "vit"], WITHOUT_GATE),
    "deberta-v2/shared": {"mlp.gate", "attention.query", "attention.key"},
}


def test_every_family_has_its_slots_in_every_layer(family: str) -> None:
    backbone = tiny(family)
    assert backbone.layers == 3
    expected = [slot for slot in (*LINEAR_SLOTS, *BLOCK_SLOTS) if slot not in LACKING.get(family, set())]
    for layer in range(3):
        # ModernBERT's first layer has a single norm, which is no attention's and no MLP's by its place.
        norms = [] if family == "modernbert" and layer == 0 else NORM_SLOTS
        assert [site.slot for site in backbone.sites if site.layer == layer] == [*expected, *norms]


def test_norms_are_modules_of_their_own_and_wide_as_the_model(family: str) -> None:
    backbone = tiny(family)
    norms = [site for site in backbone.sites if site.slot in NORM_SLOTS]
    assert len({site.module for site in norms}) == len(norms)
    for site in norms:
        assert backbone.model.get_parameter(f"{site.module}.weight").shape == (site.outputs,) == (32,)


def test_a_sub_block_knows_the_way_in_and_how_many_heads_it_has() -> None:
    sites = {site.slot: site for site in tiny("llama").sites if site.layer == 1}
    assert sites["attention"].entry == sites["attention.query"]
    assert sites["mlp"].entry == sites["mlp.up"]
    assert sites["block"].entry == sites["block"]
    assert (sites["attention.query"].heads, sites["attention.key"].heads, sites["mlp.up"].heads) == (4, 2, 1)


def test_linear_sites_have_the_shape_they_say(family: str) -> None:
    backbone = tiny(family)
    for site in backbone.sites:
        module = backbone.model.get_submodule(site.module)
        if site.slot in LINEAR_SLOTS:
            assert isinstance(module, torch.nn.Linear | Conv1D)
            output = module(torch.zeros(1, 2, site.inputs))
            assert site.take(output).shape == (1, 2, site.outputs)
    shapes = {site.slot: (site.inputs, site.outputs) for site in backbone.sites}
    assert shapes["attention.output"] == (32, 32)
    assert shapes["mlp.up"] == (32, 48)
    assert shapes["mlp.down"] == (48, 32)
    assert shapes["block"] == (32, 32)


class Zeroed:
    """Puts zeros in the place of a site's outputs."""

    reads = "output"

    def __init__(self, site: Site) -> None:
        self.site = site

    def hooks(self) -> list[Hook]:
        return [Hook(self.site, after=lambda x, h: torch.zeros_like(h))]


def without_biases(family: str) -> Backbone:
    backbone = tiny(family)
    for name, weight in backbone.model.named_parameters():
        if name.endswith("bias"):
            weight.zero_()
    return backbone


def zeroed_in_turn(backbone: Backbone, *slots: str) -> list[Tensor]:
    """The last states with zeros in the place of what each of the slots gives in the second layer."""
    results = []
    for slot in slots:
        site = next(site for site in backbone.sites if site.slot == slot and site.layer == 1)
        with attached(backbone.model, [Zeroed(site)]):  # type: ignore[list-item]
            results.append(states(backbone))
    return results


@torch.no_grad()
def test_without_values_or_without_the_output_projection_attention_gives_the_same(family: str) -> None:
    backbone = without_biases(family)
    results = zeroed_in_turn(backbone, "attention.value", "attention.output", "attention")
    torch.testing.assert_close(results[0], results[1])
    torch.testing.assert_close(results[0], results[2])
    assert not torch.allclose(results[0], states(backbone), atol=1e-4)


@torch.no_grad()
def test_without_up_or_without_down_the_mlp_gives_the_same(family: str) -> None:
    backbone = without_biases(family)
    results = zeroed_in_turn(backbone, "mlp.up", "mlp.down", "mlp")
    torch.testing.assert_close(results[0], results[1])
    torch.testing.assert_close(results[0], results[2])
    assert not torch.allclose(results[0], states(backbone), atol=1e-4)


@torch.no_grad()
def test_without_queries_or_without_keys_attention_is_even(family: str) -> None:
    """Scores of zero: it makes no difference which of the two factors is missing, but for what else the scores hold."""
    backbone = without_biases(family)
    slots = {site.slot for site in backbone.sites}
    if "attention.query" not in slots or family in ("deberta-v2", "deberta-v2/shared"):
        pytest.skip("its scores hold products of queries with positions")
    results = zeroed_in_turn(backbone, "attention.query", "attention.key")
    torch.testing.assert_close(results[0], results[1])
    assert not torch.allclose(results[0], states(backbone), atol=1e-6)


@pytest.mark.parametrize("part", [Part(0, 2), Part(2, 4), Part(1, 2, groups=2)])
def test_putting_back_what_was_taken_changes_nothing_and_putting_zeros_changes_the_part_alone(part: Part) -> None:
    outputs = torch.arange(1.0, 7.0).view(1, 6)
    assert torch.equal(part.put(outputs, part.take(outputs)), outputs)
    zeroed = part.put(outputs, torch.zeros(1, part.width))
    assert int((zeroed == 0).sum()) == part.width
    assert torch.equal(zeroed[zeroed != 0], outputs[zeroed != 0])


def test_a_part_of_two_groups_is_the_same_outputs_of_each() -> None:
    assert Part(1, 2, groups=2).take(torch.arange(6.0)).tolist() == [1.0, 4.0]
    assert str(Part(1, 2, groups=2)) == "[1:2 of 2]"


def unknown(mapping: dict[str, Any] | None) -> Backbone:
    """A tiny model of a family without sites of its own."""
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.for_model("fnet", hidden_size=16, num_hidden_layers=2, intermediate_size=24, vocab_size=50)
    given = None if mapping is None else contract.Mapping.model_validate(mapping)
    return as_backbone(AutoModel.from_config(config), None, "fnet", mapping=given)


def test_an_unknown_family_is_named_with_the_modules_found() -> None:
    assert "fnet" not in FAMILIES
    found = r'"fnet" is not known.*encoder\.layer \(2 of them\).*encoder\.layer\.\*\.intermediate\.dense'
    with pytest.raises(InputError, match=found) as caught:
        unknown(None)
    assert "distilbert" in str(caught.value.mend)
    assert "mapping" in str(caught.value.mend)


def test_a_mapping_makes_an_unknown_family_known() -> None:
    slots: dict[str, Any] = {
        "block": "",
        "mlp.down": "output.dense",
        "mlp.up": {"module": "intermediate.dense", "start": 4, "stop": 8, "groups": 2},
    }
    sites = unknown({"layers": "encoder.layer", "slots": slots}).sites
    assert [(s.name, s.place, s.inputs, s.outputs) for s in sites[:3]] == [
        ("layers.0.mlp.up", "encoder.layer.0.intermediate.dense[4:8 of 2]", 16, 8),
        ("layers.0.mlp.down", "encoder.layer.0.output.dense", 24, 16),
        ("layers.0.block", "encoder.layer.0", 16, 16),
    ]
    assert [site.slot for site in sites[3:5]] == ["attention.norm", "mlp.norm"]
    assert len(sites) == 10


def test_a_mapping_may_say_which_norms_there_are() -> None:
    slots: dict[str, Any] = {"mlp.down": "output.dense", "attention.norm": "output.LayerNorm"}
    sites = unknown({"layers": "encoder.layer", "slots": slots}).sites
    assert [(s.slot, s.place) for s in sites[:3]] == [
        ("mlp.down", "encoder.layer.0.output.dense"),
        ("attention.norm", "encoder.layer.0.output.LayerNorm"),
        ("mlp.norm", "encoder.layer.0.output.LayerNorm"),
    ]


def test_a_mapping_that_matches_nothing_is_refused_with_what_there_is() -> None:
    with pytest.raises(InputError, match=r'mapping\.layers: "layers" is no list.*its lists are encoder\.layer'):
        unknown({"layers": "layers", "slots": {"block": ""}})
    with pytest.raises(InputError, match=r'mlp\.up is "fc1", but no layer.*intermediate\.dense, output\.dense'):
        unknown({"layers": "encoder.layer", "slots": {"mlp.up": "fc1"}})
    beyond = {"module": "intermediate.dense", "start": 20, "stop": 30}
    with pytest.raises(InputError, match=r"mlp\.up is intermediate\.dense\[20:30\].*24 outputs"):
        unknown({"layers": "encoder.layer", "slots": {"mlp.up": beyond}})
    with pytest.raises(InputError, match=r"mapping\.slots: \{\} names no slot"):
        unknown({"layers": "encoder.layer", "slots": {}})
