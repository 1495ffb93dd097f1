"""The matrix: what every adapter kind must do on every family. A new kind is one line in KINDS."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conftest import inputs, states, tiny
from problems import budgeted, problem
from torch import nn

from espalier_runtime import contract
from espalier_runtime.adapters.kinds import kinds_of
from espalier_runtime.backbone.inputs import Inputs
from espalier_runtime.backbone.layout import Packed, Padded
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.export.merged import _affine
from espalier_runtime.search.methods import Method, find_structure
from espalier_runtime.structure.gates import FixedGates
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import Space, build_space
from espalier_runtime.training.execution import Execution
from espalier_runtime.training.model import AdaptedModel


def space(slots: list[str], *kinds: dict[str, object], layers: list[int] | None = None) -> dict[str, object]:
    return {"slots": slots, "layers": layers, "kinds": list(kinds)}


WIDTHS: dict[str, object] = {"sizes": [2, 6], "activation": "gelu"}
TOKEN_GATE: dict[str, object] = {
    "kind": "tokenGate",
    "size": 3,
    "ratio": 0.5,
    "weight": 2.0,
    "temperature": 5.0,
    "start": 0.5,
    "activation": "relu",
    "scale": 1.0,
}
KINDS: dict[str, dict[str, object]] = {
    "lora": space(["attention", "mlp"], {"kind": "lora", "ranks": [1, 2, 4], "scale": 2.0}),
    "bottleneck": space(["attention", "mlp", "block"], {"kind": "bottleneck", **WIDTHS, "scale": 1.0}),
    "parallel": space(["attention", "mlp"], {"kind": "parallel", **WIDTHS}),
    "scaledParallel": space(["attention", "mlp"], {"kind": "scaledParallel", **WIDTHS, "scale": 2.0}),
    "multiHeadParallel": space(["attention"], {"kind": "multiHeadParallel", **WIDTHS, "scale": 1.0}),
    "uTuning": space(["attention", "mlp", "block"], {"kind": "uTuning", **WIDTHS, "scale": 1.0}),
    "uTuning with softmax": space(
        ["attention"], {"kind": "uTuning", "sizes": [2, 6], "activation": "softmax", "scale": 1.0}
    ),
    "unfolded": space(
        ["attention", "mlp", "block"],
        {"kind": "unfolded", "sizes": [2, 6], "iterations": 3, "step": 0.5, "threshold": 0.01, "scale": 1.0},
    ),
    "bitfit": space(["attention.value", "attention.output", "mlp"], {"kind": "bitfit"}),
    "ia3": space(["attention", "mlp"], {"kind": "ia3"}),
    "normTuning": space(["attention", "mlp"], {"kind": "normTuning"}),
    "kernelMix": space(["attention"], {"kind": "kernelMix", "sizes": [1, 3], "shared": 2}),
    "kernelScale": space(["attention"], {"kind": "kernelScale"}),
    "tarp": space(["attention", "mlp"], {"kind": "tarp", "ranks": [1, 3], "scale": 1.0}),
    "grasp": space(["attention", "mlp"], {"kind": "grasp", "groups": [3, 8], "grouping": "permuted"}),
    "stochGrasp": space(
        ["attention.output", "mlp"],
        {"kind": "stochGrasp", "groups": [8], "grouping": "permuted", "start": 0.01, "target": 0.05, "weight": 1.0},
    ),
    "dualLora": space(["attention", "mlp"], {"kind": "dualLora", "ranks": [1, 3], "scale": 2.0, "orthogonality": 0.1}),
    "generated": space(["attention", "mlp"], {"kind": "generated", "ranks": [1, 3], "embedding": 2, "scale": 2.0}),
    "prefix": space(["attention"], {"kind": "prefix", "tokens": [1, 3], "scale": 10.0}),
    "taskPrompt": space(["attention"], {"kind": "taskPrompt", "tokens": [1, 3], "scale": 10.0}),
    "mam": space(
        ["attention", "mlp"],
        {"kind": "prefix", "tokens": [2], "scale": 10.0},
        {"kind": "scaledParallel", "sizes": [2], "activation": "relu", "scale": 2.0},
    ),
    "tokenGate": space(["mlp"], TOKEN_GATE),
    "tokenGate and others in the MLP": space(
        ["mlp"],
        TOKEN_GATE,
        {"kind": "lora", "ranks": [2], "scale": 2.0},
        {"kind": "bottleneck", "sizes": [4], "activation": "relu", "scale": 0.5},
        {"kind": "parallel", "sizes": [4], "activation": "relu"},
        {"kind": "dualLora", "ranks": [2], "scale": 2.0, "orthogonality": 0.1},
        layers=[1, 2],
    ),
    "lora and bottleneck": space(
        ["attention", "mlp"],
        {"kind": "lora", "ranks": [2], "scale": 2.0},
        {"kind": "bottleneck", "sizes": [4], "activation": "relu", "scale": 0.5},
        layers=[1, 2],
    ),
    "residuals of one form at a linear": space(
        ["attention", "mlp"],
        {"kind": "lora", "ranks": [1, 2], "scale": 2.0},
        {"kind": "tarp", "ranks": [1, 2], "scale": 1.0},
        {"kind": "dualLora", "ranks": [1, 2], "scale": 2.0, "orthogonality": 0.1},
        {"kind": "generated", "ranks": [1, 2], "embedding": 2, "scale": 1.0},
        layers=[0, 2],
    ),
    "residuals of one form at a sub-block": space(
        ["attention", "mlp", "block"],
        {"kind": "parallel", "sizes": [2], "activation": "relu"},
        {"kind": "scaledParallel", **WIDTHS, "scale": 2.0},
        {"kind": "uTuning", "sizes": [2, 4], "activation": "gelu", "scale": 0.5},
        {"kind": "unfolded", "sizes": [2], "iterations": 2, "step": 0.5, "threshold": 0.01, "scale": 1.0},
        layers=[0, 2],
    ),
    "several at one module": space(
        ["attention", "mlp"],
        {"kind": "lora", "ranks": [2], "scale": 2.0},
        {"kind": "parallel", "sizes": [4], "activation": "relu"},
        {"kind": "ia3"},
        {"kind": "bitfit"},
        layers=[0, 2],
    ),
}


@pytest.fixture(params=sorted(KINDS))
def spec(request: pytest.FixtureRequest) -> contract.Space:
    return contract.Space.model_validate(KINDS[request.param])


@pytest.fixture(params=["bert", "deberta-v2/shared", "gpt2", "llama"])
def some_family(request: pytest.FixtureRequest) -> str:
    """Families that differ in what matters to attaching: lacking slots, fused projections, few key heads, no biases."""
    return str(request.param)


@functools.cache
def model_of(family: str) -> Backbone:
    """One model a family for the whole matrix: every test leaves it as it was, which one of them checks."""
    return tiny(family)


def make(family: str, spec: contract.Space, seed: int = 0) -> tuple[Backbone, Space, AdapterPool]:
    backbone = model_of(family)
    if family == "deberta-v2/shared" and spec.kinds[0].kind == "kernelScale":
        pytest.skip("its queries and keys are no sites")
    if spec.kinds[0].kind in ("prefix", "taskPrompt") and not backbone.form.packs:
        pytest.skip("its attention takes no keys and values from outside")
    space = build_space(spec, backbone.sites)
    # What draws noise does so in training alone.
    return backbone, space, AdapterPool(space.candidates, space.kinds, seed).eval()


def randomise(pool: AdapterPool) -> None:
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in pool.named_parameters():
            # Thresholds above what random models give would leave nothing.
            size = 0.003 if name.endswith("thresholds") else 0.2
            parameter.add_(torch.randn(parameter.shape, generator=generator) * size)


@contextmanager
def in_double(*modules: nn.Module) -> Iterator[None]:
    """Within the context `modules` compute in float64: random adapters magnify float32's rounding."""
    for module in modules:
        module.double()
    try:
        yield
    finally:
        for module in modules:
            module.float()


def test_is_an_exact_no_op_at_init(family: str, spec: contract.Space) -> None:
    backbone, _, pool = make(family, spec)
    with torch.no_grad():
        before = states(backbone)
        with pool.attached(backbone.model):
            during = states(backbone)
    assert torch.equal(before, during)


def test_leaves_the_model_bit_for_bit_as_it_was(family: str, spec: contract.Space) -> None:
    backbone, _, pool = make(family, spec)
    randomise(pool)
    weights = copy.deepcopy(backbone.model.state_dict())
    with torch.no_grad():
        before = states(backbone)
        with pool.attached(backbone.model):
            during = states(backbone)
        after = states(backbone)
    assert not torch.allclose(before, during, atol=1e-6)
    assert torch.equal(before, after)
    assert all(torch.equal(weights[name], value) for name, value in backbone.model.state_dict().items())
    assert not any("forward" in vars(module) for module in backbone.model.modules())


def test_detaches_when_the_forward_fails(some_family: str, spec: contract.Space) -> None:
    backbone, _, pool = make(some_family, spec)
    with pytest.raises(RuntimeError, match="on purpose"), pool.attached(backbone.model):
        raise RuntimeError("on purpose")
    assert not any("forward" in vars(module) for module in backbone.model.modules())


def test_sends_gradient_to_the_adapters_and_nowhere_else(some_family: str, spec: contract.Space) -> None:
    backbone, _, pool = make(some_family, spec)
    randomise(pool)
    pool.train()
    with pool.attached(backbone.model):
        states(backbone).square().sum().backward()
    assert all(weight.grad is None for weight in backbone.model.parameters())
    for name, weight in pool.named_parameters():
        assert weight.grad is not None, name
        # A bias added to every key leaves the softmax as it is: only there may a gradient vanish.
        assert bool(weight.grad.abs().sum() > 0), name


def test_a_shut_gate_is_as_if_the_candidate_were_not_there(family: str, spec: contract.Space) -> None:
    backbone, space, pool = make(family, spec)
    randomise(pool)
    open_ones = torch.arange(len(space.candidates)) % 2 == 0
    fewer = AdapterPool([c for c, kept in zip(space.candidates, open_ones, strict=True) if kept], space.kinds, 5).eval()
    fewer.copy_from(pool)
    with torch.no_grad(), in_double(backbone.model, pool, fewer):
        with pool.attached(backbone.model):
            pool.use(open_ones.double().expand(3, -1))
            gated = states(backbone)
            pool.use(torch.zeros(3, len(space.candidates)))
            shut = states(backbone)
            pool.use(torch.ones(3, len(space.candidates)))
            opened = states(backbone)
            pool.use(None)
            plain = states(backbone)
        with fewer.attached(backbone.model):
            pruned = states(backbone)
        bare = states(backbone)
    torch.testing.assert_close(gated, pruned, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(shut, bare, atol=1e-9, rtol=1e-9)
    assert torch.equal(opened, plain)


def test_gates_that_are_shut_or_half_open_get_their_slope(some_family: str, spec: contract.Space) -> None:
    """dL/dz, summed over gates that all open together, against differences of L."""
    backbone, space, pool = make(some_family, spec)
    randomise(pool)
    ids, _ = inputs()
    weights = torch.randn(*ids.shape, backbone.hidden, generator=torch.Generator().manual_seed(5)).double()
    with in_double(backbone.model, pool), pool.attached(backbone.model):

        def loss(z: torch.Tensor) -> torch.Tensor:
            pool.use(z.expand(3, len(space.candidates)))
            return (states(backbone) * weights).sum()

        for at in (0.0, 0.5):
            z = torch.tensor(at, dtype=torch.float64, requires_grad=True)
            loss(z).backward()
            assert z.grad is not None
            with torch.no_grad():
                # Some families compute norms in float32 whatever they are given, so that the step cannot be tiny.
                first, second = (loss(z + step) for step in (1e-4, 2e-4))
                # Nothing is below a shut gate.
                slope = (4 * first - second - 3 * loss(z)) / 2e-4 if at == 0 else (first - loss(z - 1e-4)) / 2e-4
            # Random adapters bend the loss much, and a ReLU breaks it: a term that is missing is still far more.
            torch.testing.assert_close(z.grad, slope, rtol=0.05, atol=0.5)


def test_gates_fold_into_the_weights_where_weights_can_take_them(some_family: str, spec: contract.Space) -> None:
    backbone, space, pool = make(some_family, spec)
    randomise(pool)
    gates = torch.rand(len(space.candidates), generator=torch.Generator().manual_seed(3))
    # Whole where no weights can.
    for index in range(len(space.candidates)):
        group, units = copy.deepcopy(pool).units(index)
        if not group.fold_gates(units, gates[index].expand(len(units))):
            gates[index] = 1.0
    folded = copy.deepcopy(pool)
    with torch.no_grad(), in_double(backbone.model, pool, folded):
        folded.fold_gates(gates)
        with pool.attached(backbone.model):
            pool.use(gates.expand(3, -1))
            wanted = states(backbone)
        with folded.attached(backbone.model):
            found = states(backbone)
    torch.testing.assert_close(found, wanted, atol=1e-9, rtol=1e-9)


def test_each_row_of_a_mixed_batch_runs_under_its_own_gates(some_family: str, spec: contract.Space) -> None:
    backbone, space, pool = make(some_family, spec)
    randomise(pool)
    gates = (torch.rand(3, len(space.candidates), generator=torch.Generator().manual_seed(3)) < 0.5).float()
    with torch.no_grad(), pool.attached(backbone.model):
        pool.use(gates)
        mixed = states(backbone)
        for row in range(3):
            pool.use(gates[row].expand(3, -1))
            torch.testing.assert_close(mixed[row], states(backbone)[row], atol=1e-5, rtol=1e-4)


def test_each_row_of_a_mixed_batch_is_adapted_as_one_of_its_own_task(some_family: str, spec: contract.Space) -> None:
    backbone, _, _ = make(some_family, spec)
    space = build_space(spec, backbone.sites, tasks=3)
    pool = AdapterPool(space.candidates, space.kinds, 0).eval()
    randomise(pool)
    ids, mask = inputs()
    with torch.no_grad(), in_double(backbone.model, pool), pool.attached(backbone.model):
        pool.use(None, torch.tensor([2, 0, 1]), Padded(mask))
        mixed = states(backbone)
        for row, task in enumerate((2, 0, 1)):
            alone = mask[row : row + 1]
            pool.use(None, torch.tensor([task]), Padded(alone))
            own = backbone.states(Inputs(Padded(alone), ids[row : row + 1])) * alone.unsqueeze(-1)
            torch.testing.assert_close(mixed[row : row + 1], own, atol=1e-8, rtol=1e-6)
        if spec.kinds[0].kind in ("dualLora", "generated", "taskPrompt"):
            pool.use(None, torch.tensor([0, 0, 0]), Padded(mask))
            assert not torch.allclose(states(backbone)[0], mixed[0], atol=1e-6)


@pytest.mark.parametrize("packing_family", ["bert", "gpt2", "llama", "opt"])
def test_rows_one_after_the_other_are_adapted_as_padded_ones(packing_family: str, spec: contract.Space) -> None:
    backbone, space, pool = make(packing_family, spec)
    randomise(pool)
    gates = (torch.rand(3, len(space.candidates), generator=torch.Generator().manual_seed(3)) < 0.7).float()
    ids, mask = inputs()
    lengths = mask.sum(1).tolist()
    below, after = Padded(mask), Packed.of(lengths, ids.device)
    rows = [row[:length] for row, length in zip(ids, lengths, strict=True)]
    with torch.no_grad(), pool.attached(backbone.model):
        pool.use(gates, layout=below)
        wanted = below.rows(backbone.states(Inputs(below, ids)))
        pool.use(gates, layout=after)
        found = after.rows(backbone.states(Inputs(after, after.lay(rows))))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_saves_and_reloads_exactly(some_family: str, spec: contract.Space, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    backbone, space, pool = make(some_family, spec)
    randomise(pool)
    save_file(pool.state_dict(), tmp_path / "pool.safetensors")
    other = AdapterPool(space.candidates, space.kinds, 99).eval()
    other.load_state_dict(load_file(tmp_path / "pool.safetensors"))
    with torch.no_grad():
        with pool.attached(backbone.model):
            before = states(backbone)
        with other.attached(backbone.model):
            after = states(backbone)
    assert torch.equal(before, after)


def test_costs_what_it_says(some_family: str, spec: contract.Space) -> None:
    _, space, pool = make(some_family, spec)
    assert sum(weight.numel() for weight in pool.parameters()) == space.parameters


def test_two_pools_cannot_be_attached_at_one_site(some_family: str, spec: contract.Space) -> None:
    backbone, _, pool = make(some_family, spec)
    with pool.attached(backbone.model), pytest.raises(RuntimeError, match="already adapted"):
        with pool.attached(backbone.model):
            pass


def test_folds_into_the_frozen_weights_where_the_kind_says_so(some_family: str, spec: contract.Space) -> None:
    backbone, space, pool = make(some_family, spec)
    randomise(pool)
    gates = torch.ones(1, len(space.candidates))
    adapter: Any = SimpleNamespace(backbone=backbone, model=SimpleNamespace(pool=pool))
    shifts = {"bitfit", "grasp", "stochGrasp", "normTuning"}
    for module in pool.members():
        if sum(other.site.module == module.site.module for other in pool.members()) > 1:
            continue  # a module's adapters fold together or not at all
        fits = module.kind.mergeable and not (module.kind.name in shifts and some_family == "llama")
        assert (_affine(adapter, module.site.module, gates) is not None) == fits, module.kind.name


def test_runs_in_bfloat16(spec: contract.Space) -> None:
    backbone = tiny("bert")
    chosen = build_space(spec, backbone.sites)
    pool = AdapterPool(chosen.candidates, chosen.kinds, 0).eval()
    randomise(pool)
    with torch.no_grad(), pool.attached(backbone.model):
        exact = states(backbone)
        backbone.model.bfloat16()
        pool.bfloat16()
        rounded = states(backbone)
    assert rounded.dtype == torch.bfloat16
    # bfloat16 keeps eight bits; the states have size one.
    assert float((rounded.float() - exact).abs().mean()) < 0.05


def test_steps_in_bfloat16_have_float32_gradients_that_point_where_the_exact_ones_do(spec: contract.Space) -> None:
    exact, rounded = (gradient("bert", spec, execution) for execution in (Execution(), Execution(torch.bfloat16)))
    assert rounded.dtype == torch.float32
    assert torch.isfinite(rounded).all()
    assert float(torch.nn.functional.cosine_similarity(exact, rounded, 0)) > 0.98


def test_a_checkpointed_step_has_the_gradients_of_one_that_keeps_everything(
    some_family: str, spec: contract.Space
) -> None:
    plain, again = (
        gradient(some_family, spec, execution) for execution in (Execution(), Execution(checkpointing=True))
    )
    assert torch.equal(plain, again)


def gradient(family: str, spec: contract.Space, execution: Execution) -> torch.Tensor:
    """The gradient of all weights of the pool in a step that computes as `execution` says."""
    backbone, _, pool = make(family, spec)
    randomise(pool)
    pool.train()
    torch.manual_seed(0)  # some kinds draw noise
    with pool.attached(backbone.model):
        with execution.of(backbone, pool.lowest_layer):
            found = states(backbone).float()
        # Their norm is the last layer norm's, whatever is adapted: its gradient would vanish.
        direction = torch.randn(found.shape, generator=torch.Generator().manual_seed(8))
        (found * direction).sum().backward()
    return torch.cat([weight.grad.flatten() for weight in pool.parameters() if weight.grad is not None])


def test_the_paths_of_a_site_add_up_each_by_its_share(some_family: str, spec: contract.Space) -> None:
    if any(kind.couples for kind in kinds_of(spec.kinds).values()):
        pytest.skip("its units work together, so that a site has one path")
    backbone, space, _ = make(some_family, spec.model_copy(update={"paths": 2}))
    for kind in space.kinds:
        # The last site of the kind is enough: what comes after it would not be linear.
        site = [candidate.site for candidate in space.candidates if candidate.kind == kind][-1]
        pair = [candidate for candidate in space.candidates if (candidate.site, candidate.kind) == (site, kind)]
        pool = AdapterPool(pair, space.kinds, 0)
        randomise(pool)
        added = functools.partial(what_is_added, backbone, pool)
        both = added([0.7 if candidate.path == 0 else 0.3 for candidate in pair])
        first = added([float(candidate.path == 0) for candidate in pair])
        second = added([float(candidate.path == 1) for candidate in pair])
        assert float(first.abs().max()) > 1e-4
        torch.testing.assert_close(both, 0.7 * first + 0.3 * second, atol=1e-5, rtol=1e-4)


def test_any_search_can_choose_it_and_a_fit_goes_on_from_there(spec: contract.Space) -> None:
    methods: list[Method] = [
        budgeted(),
        contract.SaliencyMethod(method="saliency", name="saliency", fit="retrain", batches=1),
        contract.UniformMethod(method="uniform", name="uniform", kind=spec.kinds[0].kind),
    ]
    whole = problem(space=spec).space
    for method in methods:
        given = problem(whole.parameters // 2, space=spec, batchSize=24, epochs=2, headInit="probe")
        found = find_structure(given, method, 0).structure
        assert 0 < found.union <= given.budget
        assert all(0 < found.parameters(task) <= found.union for task in found.tasks)
        pool = AdapterPool(found.candidates, whole.kinds, 0)
        before = [weight.detach().clone() for weight in pool.parameters()]
        given.train(AdaptedModel(given.backbone, pool, given.new_heads(), "mean"), FixedGates(found.gates()), None)
        assert any(not torch.equal(old, new) for old, new in zip(before, pool.parameters(), strict=True))


def what_is_added(backbone: Backbone, pool: AdapterPool, gates: list[float]) -> torch.Tensor:
    """What the pool's only site adds to its module's output under these gates."""
    heard: list[torch.Tensor] = []

    def hear(module: torch.nn.Module, given: object, output: object) -> None:
        heard.append(output[0] if isinstance(output, tuple) else output)  # type: ignore[arg-type]

    module = backbone.model.get_submodule(next(pool.members()).site.module)
    listening = module.register_forward_hook(hear)
    with torch.no_grad(), pool.attached(backbone.model):
        for values in (gates, [0.0] * len(gates)):
            pool.use(torch.tensor(values).expand(3, -1))
            states(backbone)
    listening.remove()
    return heard[0] - heard[1]
