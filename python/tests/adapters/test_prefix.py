from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from conftest import inputs, states, tiny
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.adapters.prefix import Prefix
from espalier_runtime.backbone.beside import Extra, attend_beside
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.errors import InputError
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import build_space

TOKENS = 3


def space(kind: str = "prefix") -> contract.Space:
    given = {"slots": ["attention"], "layers": None, "kinds": [{"kind": kind, "tokens": [TOKENS], "scale": 10.0}]}
    return contract.Space.model_validate(given)


def prefixed(backbone: Backbone, mass: float = 1.0) -> AdapterPool:
    """Random keys and values in every layer, all of one mass."""
    spanned = build_space(space(), backbone.sites)
    pool = AdapterPool(spanned.candidates, spanned.kinds, 3).eval()
    with torch.no_grad():
        for module in prefixes(pool):
            module.mass.fill_(mass / 10.0)
    return pool


def prefixes(pool: AdapterPool) -> Sequence[Prefix]:
    return [module for module in pool.members() if isinstance(module, Prefix)]


def concatenating(backbone: Backbone, pool: AdapterPool) -> Backbone:
    """A copy whose attention concatenates the prefix before its keys and values, and lets every token see it."""
    from transformers import AttentionInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    by_layer = {module.site.layer: module for module in prefixes(pool)}

    def attend(
        module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
    ) -> tuple[Tensor, None]:
        prefix = by_layer[module.layer_idx]
        rows, _, seq, _ = query.shape
        mask = attention_mask
        if mask is None:
            mask = torch.ones(1, 1, seq, key.shape[2], dtype=torch.bool)
            mask = mask.tril(key.shape[2] - seq) if module.is_causal else mask
        mask = torch.cat([mask.new_ones(*mask.shape[:-1], TOKENS), mask], -1)
        keys, values = (part.transpose(0, 1).expand(rows, -1, -1, -1) for part in (prefix.keys, prefix.values))
        joined = (torch.cat([keys, key], 2), torch.cat([values, value], 2))
        output, _ = sdpa_attention_forward(module, query, *joined, mask, **{**options, "is_causal": False})
        return output, None

    AttentionInterface.register("espalier_test_prefix", attend)
    other = copy.deepcopy(backbone)
    other.model.set_attn_implementation("espalier_test_prefix")
    from transformers import AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionMaskInterface.register("espalier_test_prefix", sdpa_mask)
    for index, layer in enumerate(getattr(other.model, "layers", None) or other.model.encoder.layer):
        attention = getattr(layer, "self_attn", None) or layer.attention.self
        attention.layer_idx = index
    return other


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_mass_one_is_attention_with_the_prefix_among_keys_and_values(family: str) -> None:
    backbone = tiny(family)
    pool = prefixed(backbone)
    with torch.no_grad():
        bare = states(backbone)
        wanted = states(concatenating(backbone, pool))
        with pool.attached(backbone.model):
            found = states(backbone)
    assert float((found - bare).abs().max()) > 1e-2
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_a_decoder_with_the_prefix_in_its_cache_says_the_same() -> None:
    from transformers import DynamicCache

    backbone = tiny("llama")
    pool = prefixed(backbone)
    ids, mask = inputs()
    cache = DynamicCache(config=backbone.model.config)
    for module in prefixes(pool):
        keys, values = (part.detach().transpose(0, 1).expand(3, -1, -1, -1) for part in (module.keys, module.values))
        cache.update(keys, values, module.site.layer)
    with torch.no_grad():
        wanted = backbone.model(
            ids,
            attention_mask=torch.cat([mask.new_ones(3, TOKENS), mask], 1),
            position_ids=torch.arange(7).expand(3, -1),
            cache=cache,
        ).last_hidden_state
        with pool.attached(backbone.model):
            found = states(backbone)
    torch.testing.assert_close(found, wanted * mask.unsqueeze(-1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["prefix", "taskPrompt"])
def test_a_decoder_goes_on_from_its_cache(kind: str) -> None:
    from transformers import DynamicCache

    backbone = tiny("qwen3")
    spanned = build_space(space(kind), backbone.sites)
    pool = AdapterPool(spanned.candidates, spanned.kinds, 3)
    with torch.no_grad():
        for name, weight in pool.named_parameters():
            if name.endswith("mass"):
                weight.fill_(0.2)
    ids = torch.randint(5, 99, (2, 9), generator=torch.Generator().manual_seed(2))
    with torch.no_grad(), pool.attached(backbone.model):
        whole = backbone.model(ids).last_hidden_state
        cache = DynamicCache(config=backbone.model.config)
        steps = [ids[:, :4], *ids[:, 4:].split(1, dim=1)]
        parts = [backbone.model(step, cache=cache, use_cache=True).last_hidden_state for step in steps]
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-4)


def test_a_negative_mass_is_that_of_the_opposite_value() -> None:
    backbone = tiny("bert")
    pool, opposite = prefixed(backbone, -0.7), prefixed(backbone, 0.7)
    with torch.no_grad():
        for module in prefixes(opposite):
            module.values.neg_()
        with pool.attached(backbone.model):
            one = states(backbone)
        with opposite.attached(backbone.model):
            other = states(backbone)
    torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)


def test_a_mass_is_a_multiple_of_a_key() -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 4, 5, 8, generator=generator) for _ in range(3))
    extra = torch.randn(2, 1, 4, 1, 8, generator=generator)
    output = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    found = attend_beside(output, query, key, None, False, None, Extra.of(extra[0], extra[1], torch.tensor([[3.0]])))
    thrice = extra.expand(2, 2, 4, 3, 8)
    keys, values = torch.cat([key, thrice[0]], 2), torch.cat([value, thrice[1]], 2)
    torch.testing.assert_close(found, torch.nn.functional.scaled_dot_product_attention(query, keys, values))


def test_keys_far_beyond_the_tokens_own_neither_overflow_nor_leak_at_mass_zero() -> None:
    query = torch.full((1, 1, 2, 4), 30.0)
    output, key = torch.randn(1, 1, 2, 4), torch.randn(1, 1, 2, 4)
    far = torch.full((1, 1, 1, 4), 30.0)
    value = torch.ones(1, 1, 1, 4)
    shut = attend_beside(output, query, key, None, False, 1.0, Extra.of(far, value, torch.zeros(1, 1)))
    opened = attend_beside(output, query, key, None, False, 1.0, Extra.of(far, value, torch.full((1, 1), 0.1)))
    assert torch.equal(shut, output)
    torch.testing.assert_close(opened, torch.ones(1, 1, 2, 4))


def test_a_backbone_with_an_attention_of_its_own_says_what_the_kind_needs() -> None:
    with pytest.raises(InputError, match='"prefix" needs an attention that transformers lets be chosen'):
        build_space(space(), tiny("mpnet").sites)
