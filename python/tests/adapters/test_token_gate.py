from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from conftest import inputs, states, tiny
from places import layer
from problems import corpus, problem
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from espalier_runtime import contract
from espalier_runtime.adapters.token_gate import TokenGate, token_gate
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.structure.gates import FixedGates
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import build_space

SPEC: dict[str, Any] = {
    "kind": "tokenGate",
    "size": 3,
    "ratio": 0.5,
    "weight": 2.0,
    "temperature": 5.0,
    "start": 3.0,
    "activation": "relu",
    "scale": 2.0,
}


def space(layers: list[int] | None = None, **changes: object) -> contract.Space:
    return contract.Space.model_validate({"slots": ["mlp"], "layers": layers, "kinds": [{**SPEC, **changes}]})


def gated(backbone: Backbone, layers: list[int] | None = None, seed: int = 1) -> AdapterPool:
    """Random adapters, and dispatchers that close about half of the tokens."""
    spanned = build_space(space(layers), backbone.sites)
    pool = AdapterPool(spanned.candidates, spanned.kinds, 0).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in pool.named_parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * (0 if name.endswith("bias") else 0.3))
    return pool


def closing(pool: AdapterPool) -> AdapterPool:
    """The pool with dispatchers that close every token."""
    with torch.no_grad():
        for name, weight in pool.named_parameters():
            if "dispatcher" in name or "bias" in name:
                weight.fill_(-100 if "bias" in name else 0)
    return pool


@contextmanager
def went_through(module: nn.Module) -> Iterator[list[int]]:
    """How many tokens came to `module`, a number a call."""
    counts: list[int] = []
    handle = module.register_forward_pre_hook(lambda _, given: counts.append(given[0][..., 0].numel()))
    yield counts
    handle.remove()


def test_a_skipped_token_has_the_adapter_alone_and_others_the_mlp_too() -> None:
    backbone = tiny("bert")
    pool = gated(backbone, layers=[0])
    (adapter,) = pool.members()
    assert isinstance(adapter, TokenGate)
    layer = backbone.model.encoder.layer[0]
    heard: dict[str, Tensor] = {}
    layer.intermediate.register_forward_pre_hook(lambda _, given: heard.__setitem__("x", given[0]))
    layer.output.dense.register_forward_hook(lambda _, __, h: heard.__setitem__("h", h))
    _, mask = inputs()
    with torch.no_grad():
        states(backbone)
        plain = heard["h"]
        with pool.attached(backbone.model):
            states(backbone)
        x = heard["x"]
        open_ones = x @ adapter.dispatcher[0] > 0
        open_ones[:, 0] = True
        own = 2.0 * torch.relu(x @ adapter.down[0].T) @ adapter.up[0].T
        expected = open_ones.unsqueeze(-1) * plain + own
    real = mask.bool()
    assert 0 < int(open_ones[real].sum()) < int(real.sum())
    torch.testing.assert_close(heard["h"][real], expected[real], atol=1e-5, rtol=1e-5)


def test_closed_tokens_and_padding_do_not_come_to_the_mlp_but_first_tokens_do() -> None:
    backbone = tiny("bert")
    inside = backbone.model.encoder.layer[0].intermediate.intermediate_act_fn
    with torch.no_grad(), went_through(inside) as counts:
        states(backbone)
        with closing(gated(backbone, layers=[0])).attached(backbone.model):
            states(backbone)
    assert counts == [21, 3]


def test_the_arithmetic_saved_is_that_of_the_tokens_skipped() -> None:
    backbone = tiny("llama")
    ids = torch.randint(5, 99, (2, 50), generator=torch.Generator().manual_seed(2))

    def work() -> int:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            backbone.model(ids)
        return sum(count for name, count in counter.get_flop_counts()["Global"].items() if "attention" not in str(name))

    with torch.no_grad():
        before = work()
        with closing(gated(backbone)).attached(backbone.model):
            after = work()
    mlp = 3 * 2 * 32 * 48  # multiplications and additions of a token in one layer
    adapter = 2 * 32 * 3 * 2 + 2 * 32
    assert before - after == 3 * (98 * mlp - 100 * adapter)


def test_what_is_skipped_in_fact_is_what_is_masked_in_training_or_export(monkeypatch: pytest.MonkeyPatch) -> None:
    for family in ("bert", "gemma2", "opt", "vit"):
        backbone = tiny(family)
        pool = gated(backbone)
        with torch.no_grad(), pool.attached(backbone.model):
            pool.use(torch.tensor([[1.0], [0.0], [0.6]]).expand(3, len(pool.candidates)))
            skipped = states(backbone)
            monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
            torch.testing.assert_close(states(backbone), skipped, atol=1e-5, rtol=1e-4)
            monkeypatch.undo()


def test_a_decoder_that_goes_on_from_its_cache_skips_the_same_tokens() -> None:
    from transformers import DynamicCache

    backbone = tiny("llama")
    ids = torch.randint(5, 99, (2, 9), generator=torch.Generator().manual_seed(2))
    inside = backbone.model.layers[1].mlp.act_fn
    with torch.no_grad(), gated(backbone).attached(backbone.model), went_through(inside) as counts:
        whole = backbone.model(ids).last_hidden_state
        cache = DynamicCache(config=backbone.model.config)
        steps = [ids[:, :4], *ids[:, 4:].split(1, dim=1)]
        parts = [backbone.model(step, cache=cache, use_cache=True).last_hidden_state for step in steps]
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-4)
    assert counts[0] == sum(counts[1:]) < ids.numel()


def test_training_reaches_the_ratio_and_it_holds_afterwards() -> None:
    for ratio in (0.3, 0.8):
        given = problem(space=space(ratio=ratio, weight=5.0), epochs=25, schedule="constant")
        model = given.model()
        given.train(model, FixedGates(None), None)
        model.eval()
        batch = corpus().batch(range(48))
        inside = given.backbone.model.encoder.layer[0].intermediate.intermediate_act_fn
        with model.adapters.attached(given.backbone.model), went_through(inside) as counts:
            model.outputs(batch, None)
        # First tokens always go through.
        tokens = sum(corpus().lengths) - 48
        assert (counts[0] - 48) / tokens == pytest.approx(ratio, abs=0.1)


def test_tokens_of_a_shut_candidate_do_not_count_towards_the_ratio() -> None:
    backbone = tiny("bert")
    pool = gated(backbone, layers=[0]).train()
    (adapter,) = pool.members()
    with pool.attached(backbone.model):
        pool.use(torch.zeros(3, 1))
        states(backbone)
        shut = adapter.penalty()
        pool.use(torch.ones(3, 1))
        states(backbone)
        opened = adapter.penalty()
    assert shut is not None
    assert opened is not None
    assert float(shut.detach()) == 0.0
    assert float(opened.detach()) > 0.0


def test_a_kind_of_defaults_can_be_built_and_trained() -> None:
    kind = token_gate(contract.TokenGateKind(kind="tokenGate"))
    assert all(weight.requires_grad for weight in kind.build(layer()["mlp"], [(0, 1)], 0).parameters())
