"""The last layer for one token a row against the whole layer: the same pooled states and gradients."""

from __future__ import annotations

import pytest
import torch
from conftest import FAMILIES, tiny
from problems import LINEARS, corpus
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.backbone import one_token as module
from espalier_runtime.backbone.heads import Head, Pooling
from espalier_runtime.backbone.layout import Packed, Padded
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import build_space
from espalier_runtime.training.model import AdaptedModel

PACKING = sorted(family for family in FAMILIES if tiny(family).packs)
LORA = contract.LoraKind(kind="lora", ranks=[2, 4], scale=2.0)
BOTTLENECK = contract.BottleneckKind(kind="bottleneck", sizes=[4], activation="gelu", scale=1.0)


def model_of(backbone: Backbone, pooling: Pooling, slots: list[str] | None = None) -> AdaptedModel:
    """Every candidate attached, with weights that are not zero."""
    offered = {site.slot for site in backbone.sites}
    wanted = [slot for slot in slots or [*LINEARS, "attention", "mlp"] if slot in offered]
    space = build_space(contract.Space(slots=wanted, layers=None, kinds=[LORA, BOTTLENECK]), backbone.sites)
    pool = AdapterPool(space.candidates, space.kinds, 0)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in pool.parameters():
            weight.copy_(0.2 * torch.randn(weight.shape, generator=generator))
    return AdaptedModel(backbone, pool, [("a", Head(backbone.hidden, 2)), ("b", Head(backbone.hidden, 2))], pooling)


def pooled_and_gradients(model: AdaptedModel, monkeypatch: pytest.MonkeyPatch, *, whole: bool) -> list[Tensor]:
    if whole:
        monkeypatch.setattr("espalier_runtime.training.model.one_token", lambda *_: None)
    rows = corpus(tasks=2, rows=6)
    rows.packed = True
    model.double()
    model.backbone.model.double()
    generator = torch.Generator().manual_seed(3)
    gates = torch.rand(2, len(model.pool.candidates), generator=generator).double().requires_grad_()
    weights = torch.randn(model.backbone.hidden, generator=generator).double()
    with model.pool.attached(model.backbone.model):
        pooled = model.pooled(rows.batch([0, 7, 3, 11, 5]), gates)
        wanted = [gates, *model.pool.parameters()]
        return [pooled, *torch.autograd.grad((pooled @ weights).sum(), wanted)]


@pytest.mark.parametrize("family", PACKING)
@pytest.mark.parametrize("pooling", ["first", "last"])
def test_pooled_states_and_gradients_are_those_of_the_whole_layer(
    family: str, pooling: Pooling, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of(tiny(family), pooling)
    ours = pooled_and_gradients(model, monkeypatch, whole=False)
    theirs = pooled_and_gradients(model, monkeypatch, whole=True)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-7)


def test_the_mlp_of_the_last_layer_sees_one_token_a_row_and_the_others_all() -> None:
    backbone = tiny("bert")
    model = model_of(backbone, "first")
    rows = corpus(tasks=2, rows=6)
    rows.packed = True
    seen = []
    for layer in backbone.model.encoder.layer:
        act = layer.intermediate.intermediate_act_fn
        layer.intermediate.intermediate_act_fn = torch.nn.Sequential(act)
        layer.intermediate.intermediate_act_fn.register_forward_hook(lambda m, x, out: seen.append(out.shape[-2]))
    batch = rows.batch([0, 7, 3])
    with model.pool.attached(backbone.model):
        model.pooled(batch, None)
    tokens = sum(rows.lengths[row] for row in (0, 7, 3))
    assert seen == [tokens, tokens, 3]


def test_afterwards_the_model_is_itself() -> None:
    backbone = tiny("bert")
    before = {name: dict(vars(part)) for name, part in backbone.model.named_modules()}
    layout = Packed.of([3, 5], torch.device("cpu"))
    with module.reading(backbone.model, module.one_token(backbone, layout, "first")):
        pass
    after = {name: dict(vars(part)) for name, part in backbone.model.named_modules()}
    assert all(before[name].keys() == after[name].keys() for name in before)


def test_heads_that_read_all_tokens_and_padded_rows_take_the_whole_layer() -> None:
    backbone, lengths = tiny("bert"), [3, 5]
    assert module.one_token(backbone, Packed.of(lengths, torch.device("cpu")), "mean") is None
    assert module.one_token(backbone, Padded.of(lengths, torch.device("cpu")), "first") is None


def test_a_kind_that_needs_all_tokens_keeps_the_whole_layer() -> None:
    backbone = tiny("bert")
    one = module.one_token(backbone, Packed.of([3, 5], torch.device("cpu")), "first")
    assert one is not None
    assert model_of(backbone, "first").pool.bears(one.modules)
    kernel = contract.KernelMixKind(kind="kernelMix", sizes=[2], shared=True)
    space = build_space(contract.Space(slots=["attention"], layers=None, kinds=[kernel]), backbone.sites)
    assert not AdapterPool(space.candidates, space.kinds, 0).bears(one.modules)
