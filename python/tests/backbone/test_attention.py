"""Rows one after the other against padded rows: the same numbers in every family that can lay them so."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from conftest import FAMILIES, padded, tiny
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.backbone.inputs import Inputs
from espalier_runtime.backbone.layout import Packed, Padded
from espalier_runtime.backbone.load import Backbone, load_backbone

LENGTHS = [7, 3, 12, 3, 1, 9]
CPU = torch.device("cpu")
PACKING = sorted(family for family in FAMILIES if tiny(family).packs)


def laid(layout: Packed | Padded) -> Inputs:
    generator = torch.Generator().manual_seed(3)
    ids = [torch.randint(5, 99, (length,), generator=generator) for length in LENGTHS]
    return Inputs(layout, layout.lay(ids))


def rows(backbone: Backbone, layout: Packed | Padded) -> list[Tensor]:
    return layout.rows(backbone.states(laid(layout)))


def test_all_families_pack_but_those_with_an_attention_of_their_own() -> None:
    rest = {"deberta-v2", "deberta-v2/shared", "gemma2", "mpnet", "t5", "t5/gated", "vit"}
    assert set(FAMILIES) - set(PACKING) == rest


@pytest.mark.parametrize("family", PACKING)
def test_rows_without_padding_have_the_states_of_padded_rows(family: str) -> None:
    backbone = tiny(family)
    with torch.no_grad():
        for ours, theirs in zip(
            rows(backbone, Packed.of(LENGTHS, CPU)), rows(backbone, Padded.of(LENGTHS, CPU)), strict=True
        ):
            torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=0)


WINDOWS: dict[str, dict[str, Any]] = {
    "mistral": {"sliding_window": 3},
    "phi3": {"sliding_window": 3},
    "gemma3_text": {"sliding_window": 3},
    "qwen2": {"sliding_window": 3, "use_sliding_window": True, "max_window_layers": 1},
    "modernbert": {"local_attention": 4, "global_attn_every_n_layers": 2},
}


@pytest.mark.parametrize("family", sorted(WINDOWS))
def test_a_window_is_kept(family: str) -> None:
    narrow = tiny(family, **WINDOWS[family])
    with torch.no_grad():
        wide, packed = rows(tiny(family), Packed.of(LENGTHS, CPU)), rows(narrow, Packed.of(LENGTHS, CPU))
        for ours, theirs in zip(packed, rows(narrow, Padded.of(LENGTHS, CPU)), strict=True):
            torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=0)
    assert any(not torch.allclose(one, other, atol=1e-4) for one, other in zip(wide, packed, strict=True))


@pytest.mark.parametrize("family", PACKING)
def test_gradients_are_those_of_padded_rows(family: str) -> None:
    backbone = tiny(family)
    site = backbone.sites[0]
    weight = backbone.model.get_submodule(site.module).weight
    found = []
    for layout in (Packed.of(LENGTHS, CPU), Padded.of(LENGTHS, CPU)):
        weight.requires_grad_(True)
        loss = sum(row.square().mean() for row in rows(backbone, layout))
        found.append(torch.autograd.grad(loss, weight)[0])
        weight.requires_grad_(False)
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-4)


def test_minilm_has_the_states_that_transformers_own_attention_gives() -> None:
    backbone = load_backbone(contract.EmbeddedBackbone(source="embedded", name="minilm"))
    layout = Packed.of(LENGTHS, CPU)
    with torch.no_grad():
        ours = rows(backbone, layout)
        backbone.model.set_attn_implementation("sdpa")
        mask = Padded.of(LENGTHS, CPU).mask
        ids = laid(Padded(mask)).input_ids
        theirs = Padded(mask).rows(backbone.states(padded(ids, mask)))
    largest = max(float((one - other).abs().max()) for one, other in zip(ours, theirs, strict=True))
    assert largest < 5e-6
