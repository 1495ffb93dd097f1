"""Gradient checkpointing changes what is kept, never what is computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from conftest import FAMILIES, tiny
from problems import corpus, heads, problem, training
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.adapters.kinds import kinds_of
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.baselines.methods import build
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import Candidate, build_space
from espalier_runtime.training.execution import Execution
from espalier_runtime.training.model import AdaptedModel

TEXT = sorted(set(FAMILIES) - {"vit"})


def adapted(backbone: Backbone, checkpointing: bool, lowest: int = 0, slots: list[str] | None = None) -> AdaptedModel:
    """LoRAs with weights that are not zero, from layer `lowest` on."""
    spec = [contract.LoraKind(kind="lora", ranks=[2], scale=2.0)]
    offered = {site.slot for site in backbone.sites}
    wanted = [slot for slot in slots or ["attention.query", "attention.value", "mlp.up", "mlp.down"] if slot in offered]
    space = build_space(contract.Space(slots=wanted, layers=None, kinds=spec), backbone.sites)
    chosen = [candidate for candidate in space.candidates if candidate.site.layer >= lowest]
    return model_of(backbone, chosen, space.kinds, checkpointing)


def model_of(backbone: Backbone, chosen: list[Candidate], kinds: object, checkpointing: bool) -> AdaptedModel:
    pool = AdapterPool(chosen, kinds, 0)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in pool.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.05)
    made = heads(2)
    for _, head in made:
        head.linear = torch.nn.Linear(backbone.hidden, 2)
        torch.nn.init.normal_(head.linear.weight, std=0.3, generator=generator)
        torch.nn.init.zeros_(head.linear.bias)
    return AdaptedModel(backbone, pool, made, "mean", Execution(checkpointing=checkpointing))


def gradients(model: AdaptedModel, gates: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
    """The losses of eight rows of two tasks, and the gradient of every weight."""
    with model.adapters.attached(model.backbone.model):
        losses = model.losses(corpus().batch([0, 1, 2, 3, 24, 25, 26, 27]), gates)
        losses.mean().backward()
    return losses.detach(), [weight.grad for weight in model.trained() if weight.grad is not None]


@contextmanager
def counted(backbone: Backbone) -> Iterator[Counter[int]]:
    """How often each layer's first site computes."""
    runs: Counter[int] = Counter()
    first = {site.layer: site.module for site in reversed(backbone.sites) if site.module not in backbone.layer_modules}
    handles = [
        backbone.model.get_submodule(path).register_forward_hook(lambda *_, layer=layer: runs.update([layer]))
        for layer, path in first.items()
    ]
    try:
        yield runs
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize("name", TEXT)
def test_gradients_are_those_of_a_step_that_keeps_everything(name: str) -> None:
    backbone = tiny(name)
    losses, plain = gradients(adapted(backbone, checkpointing=False))
    again, recomputed = gradients(adapted(backbone, checkpointing=True))
    assert torch.equal(losses, again)
    assert len(plain) > 4
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(recomputed, plain, strict=True))


@pytest.mark.parametrize("lowest", [0, 1, 2])
def test_layers_below_the_lowest_adapter_are_computed_once(lowest: int) -> None:
    backbone = tiny("bert")
    model = adapted(backbone, checkpointing=True, lowest=lowest)
    with counted(backbone) as runs:
        gradients(model)
    assert runs == {layer: 1 if layer < lowest else 2 for layer in range(3)}


def test_nothing_is_computed_again_where_no_gradient_is_wanted() -> None:
    backbone = tiny("bert")
    model = adapted(backbone, checkpointing=True)
    with counted(backbone) as runs, torch.no_grad(), model.adapters.attached(backbone.model):
        model.losses(corpus().batch([0, 1]), None)
    assert runs == {0: 1, 1: 1, 2: 1}


def test_the_gates_get_the_same_gradient() -> None:
    backbone = tiny("bert")
    found = []
    for checkpointing in (False, True):
        model = adapted(backbone, checkpointing)
        z = torch.full((2, len(model.pool.candidates)), 0.5, requires_grad=True)
        gradients(model, z)
        assert z.grad is not None
        found.append(z.grad)
    assert float(found[0].abs().sum()) > 0
    assert torch.equal(*found)


def test_the_backbone_is_itself_afterwards() -> None:
    backbone = tiny("bert")
    gradients(adapted(backbone, checkpointing=True))
    assert not any("forward" in vars(module) for module in backbone.model.modules())


def test_an_adapter_of_a_whole_layer_is_computed_again_with_it() -> None:
    backbone = tiny("bert")
    kinds = kinds_of([contract.BottleneckKind(kind="bottleneck", sizes=[4], activation="gelu", scale=1.0)])
    found = []
    for checkpointing in (False, True):
        sites = [site for site in backbone.sites if site.slot == "block"]
        chosen = [Candidate(s, "bottleneck", 0, 4, 0, kinds["bottleneck"].parameters(s, 4)) for s in sites]
        found.append(gradients(model_of(backbone, chosen, kinds, checkpointing))[1])
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(*found, strict=True))


@pytest.mark.parametrize(
    "method",
    [
        contract.FullMethod(method="full", name="full"),
        contract.BitFitMethod(method="bitFit", name="bitFit"),
        contract.PrefixMethod(method="prefix", name="prefix", tokens=3),
        contract.PeftLoraMethod(method="peftLora", name="lora", rank=2),
        contract.PolytroponMethod(method="polytropon", name="polytropon", rank=1, skills=2),
        contract.AdapterFusionMethod(method="adapterFusion", name="adapterFusion", size=2, attention=4),
    ],
    ids=lambda method: method.name,
)
def test_every_baseline_gets_the_same_gradients(method: object) -> None:
    given = problem(epochs=1)
    found = []
    for checkpointing in (False, True):
        target = build(given, method)  # type: ignore[arg-type]
        model = target.model(given.backbone, target.adapters, heads(2), "mean", Execution(checkpointing=checkpointing))
        torch.manual_seed(0)  # Polytropon draws its mixtures
        found.append(gradients(model, target.rows))
    assert torch.equal(found[0][0], found[1][0])
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(found[0][1], found[1][1], strict=True))


def test_a_step_on_minilm_keeps_less_and_gives_the_same_gradients(minilm: Backbone) -> None:
    from espalier_runtime.trials.calibrate import Workload
    from espalier_runtime.trials.step_memory import peak_bytes

    spec = contract.Space(
        slots=["attention.query", "mlp.up"], layers=None, kinds=[contract.LoraKind(kind="lora", ranks=[2])]
    )
    space = build_space(spec, minilm.sites)
    held, found = [], []
    for checkpointing in (False, True):
        model = model_of(minilm, list(space.candidates), space.kinds, checkpointing)
        work = Workload(minilm, space, corpus(), training(batchSize=48), heads(2))
        held.append(peak_bytes(work, model, range(48)))
        found.append(gradients(model))
    assert all(torch.equal(a, b) for a, b in zip(found[0][1], found[1][1], strict=True))
    weights = 4 * sum(weight.numel() for weight in minilm.model.parameters())
    assert held[1] - weights < 0.5 * (held[0] - weights)
