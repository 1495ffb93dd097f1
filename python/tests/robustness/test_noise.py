"""Each perturbation on small models: exact where mathematics is exact, and the same for every method."""

from __future__ import annotations

import copy

import pytest
import torch
from adapters.test_kinds import KINDS
from baselines.test_methods import METHODS
from conftest import padded, tiny
from problems import corpus, problem, training
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.baselines.methods import build
from espalier_runtime.robustness.activation import noisy_activations
from espalier_runtime.robustness.input import noisy_input
from espalier_runtime.robustness.path import DamagedPaths, has_paths
from espalier_runtime.robustness.rounding import rounded
from espalier_runtime.robustness.weight import noisy_weights
from espalier_runtime.search.fixed import uniform
from espalier_runtime.search.problem import SearchProblem
from espalier_runtime.structure.gates import FixedGates
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import build_space
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.tasks.tokenise import Completion, TokenIds
from espalier_runtime.training.loop import train
from espalier_runtime.training.model import AdaptedModel

SPECIAL = (0, 1, 2)


def rows_of(given: Corpus) -> list[TokenIds]:
    seen: list[TokenIds] = []
    given.mapped(lambda _, tokens: seen.append(tokens) or tokens)  # type: ignore[func-returns-value]
    return seen


def sentence(*ids: int, types: list[int] | None = None) -> Corpus:
    return Corpus(["task0"], [(0, TokenIds(list(ids), types, False), 0.0)], 0, torch.device("cpu"))


def test_input_noise_hits_a_prompt_and_leaves_its_completion() -> None:
    prompt, completion = list(range(3, 63)), [70, 71, 72]
    tokens = TokenIds([*prompt, *completion], None, False, Completion(len(prompt), "text", 5))
    given = Corpus(["task0"], [(0, tokens, 1.0)], 0, torch.device("cpu"))
    (found,) = noisy_input(given, 0.9, 60, SPECIAL, seed=0).row(0)
    assert found.completion is not None
    assert found.completion.start < len(prompt)
    assert found.input_ids[found.completion.start :] == completion
    assert found.input_ids[: found.completion.start] != prompt


def test_input_noise_hits_every_candidate_of_a_row_alike() -> None:
    row = tuple(TokenIds([1, *range(5, 25), last], None, False) for last in (30, 31))
    given = Corpus(["task0"], [(0, row, 1.0), (0, row[:1] * 3, 0.0)], 0, torch.device("cpu"))
    found = noisy_input(given, 0.3, 60, (*SPECIAL, 30, 31), seed=0)
    first, second = found.row(0)
    assert first.input_ids[:-1] == second.input_ids[:-1] != row[0].input_ids[:-1]
    assert found.sequences([0, 1]) == [0, 1, 2, 3, 4]
    assert found.lengths[0] == 2 * len(first.input_ids)


def pool_of(given: SearchProblem) -> AdapterPool:
    found = uniform(given, None, "uniform").structure
    return AdapterPool(found.candidates, given.space.kinds, 0)


def fitted(given: SearchProblem, adapters: object, model: type[AdaptedModel] = AdaptedModel) -> AdaptedModel:
    made = model(given.backbone, adapters, given.new_heads(), "mean")  # type: ignore[arg-type]
    train(made, given.corpus, FixedGates(None), training(), seed=0, epochs=1, report=lambda *_: None)
    return made.eval()


def outputs(model: AdaptedModel, adapters: object | None = None) -> Tensor:
    attached = model.adapters if adapters is None else adapters
    batch = corpus(1, rows=8).batch(range(8))
    noisy = AdaptedModel(model.backbone, attached, [("task0", model.head(0))], "mean")  # type: ignore[arg-type]
    with torch.no_grad(), noisy.adapters.attached(model.backbone.model):
        return noisy.outputs(batch, None)


class TestInput:
    def test_without_noise_the_corpus_is_the_same(self) -> None:
        given = corpus(1)
        assert noisy_input(given, 0.0, 99, SPECIAL, seed=0) is given

    def test_about_the_stated_share_of_the_tokens_is_hit_and_specials_never_are(self) -> None:
        clean = sentence(1, *[50] * 4000, 2)
        (row,) = rows_of(noisy_input(clean, 0.2, 99, SPECIAL, seed=0))
        assert (row.input_ids[0], row.input_ids[-1]) == (1, 2)
        assert not set(row.input_ids[1:-1]) & set(SPECIAL)
        # A third is replaced and a third deleted; a swap of equal tokens is not seen.
        assert 4002 - len(row.input_ids) == pytest.approx(4000 * 0.2 / 3, rel=0.15)
        assert sum(token != 50 for token in row.input_ids[1:-1]) == pytest.approx(4000 * 0.2 / 3, rel=0.15)

    def test_a_seed_sets_the_noise_and_another_seed_another(self) -> None:
        given = corpus(1)
        first, again, other = (rows_of(noisy_input(given, 0.2, 99, SPECIAL, seed=seed)) for seed in (0, 0, 1))
        assert first == again
        assert first != other

    def test_swaps_stay_within_a_text_and_types_go_with_their_tokens(self) -> None:
        types = [0] * 21 + [1] * 20
        clean = sentence(1, *range(10, 30), *range(40, 60), types=types)
        for seed in range(5):
            (row,) = rows_of(noisy_input(clean, 1.0, 99, SPECIAL, seed=seed))
            assert row.token_type_ids == sorted(row.token_type_ids or [])
            assert len(row.input_ids) == len(row.token_type_ids or [])

    def test_a_row_keeps_at_least_one_ordinary_token(self) -> None:
        for seed in range(20):
            (row,) = rows_of(noisy_input(sentence(1, 50, 51, 2), 1.0, 99, SPECIAL, seed=seed))
            assert len(row.input_ids) >= 3


class TestActivation:
    def test_the_noise_of_each_layer_has_the_stated_size(self) -> None:
        backbone = tiny("bert")
        layer = next(s.module for s in backbone.sites if s.slot == "block" and s.layer == 0)
        seen: list[Tensor] = []

        def listen(_m: object, _i: object, output: object) -> None:
            seen.append(output[0] if isinstance(output, tuple) else output)  # type: ignore[arg-type]

        generator = torch.Generator().manual_seed(0)
        ids = torch.randint(5, 99, (4, 32), generator=generator)
        for ratio in (0.0, 0.2):
            with torch.no_grad(), noisy_activations(backbone, ratio, seed=0):
                # Hooks run in the order in which they were registered.
                handle = backbone.model.get_submodule(layer).register_forward_hook(listen)
                backbone.states(padded(ids, torch.ones_like(ids)))
                handle.remove()
        clean, noisy = seen
        relative = (noisy - clean) / clean.square().mean(-1, keepdim=True).sqrt()
        assert float(relative.std()) == pytest.approx(0.2, rel=0.05)

    def test_it_is_the_same_for_every_model_and_gone_afterwards(self) -> None:
        backbone = tiny("bert")
        ids = torch.randint(5, 99, (2, 6), generator=torch.Generator().manual_seed(0))
        mask = torch.ones_like(ids)
        with torch.no_grad():
            clean = backbone.states(padded(ids, mask))
            noisy = []
            for _ in range(2):
                with noisy_activations(backbone, 0.1, seed=3):
                    noisy.append(backbone.states(padded(ids, mask)))
            assert torch.equal(noisy[0], noisy[1])
            assert not torch.equal(noisy[0], clean)
            assert torch.equal(backbone.states(padded(ids, mask)), clean)


class TestPath:
    @pytest.mark.parametrize("name", ["lora", "ia3", "adaLora", "prefix", "polytropon", "adapterFusion"])
    def test_every_method_with_adapters_loses_them_and_gets_them_back(self, name: str) -> None:
        given = problem()
        target = build(given, METHODS[name])
        assert has_paths(given.backbone.model, target.adapters)
        model = fitted(given, target.adapters, target.model)
        clean = outputs(model)
        assert torch.equal(outputs(model, DamagedPaths(target.adapters, 0.0, seed=0)), clean)
        hurt = outputs(model, DamagedPaths(target.adapters, 1.0, seed=0))
        assert not torch.equal(hurt, clean)
        assert torch.equal(outputs(model, DamagedPaths(target.adapters, 1.0, seed=0)), hurt)
        assert torch.equal(outputs(model), clean)

    def test_a_kind_that_gives_attention_more_to_attend_to_is_damaged_there(self) -> None:
        spec = {"slots": ["attention"], "layers": None, "kinds": [{"kind": "prefix", "tokens": [2], "scale": 10.0}]}
        given = problem(budget=10_000, space=contract.Space.model_validate(spec))
        model = fitted(given, pool_of(given))
        clean = outputs(model)
        assert has_paths(given.backbone.model, model.adapters)
        assert torch.equal(outputs(model, DamagedPaths(model.adapters, 0.0, seed=0)), clean)
        assert not torch.equal(outputs(model, DamagedPaths(model.adapters, 1.0, seed=0)), clean)
        assert torch.equal(outputs(model), clean)

    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_every_kind_is_damaged_or_has_no_residual_to_damage(self, kind: str) -> None:
        given = problem(budget=10**6, space=contract.Space.model_validate(KINDS[kind]))
        model = fitted(given, AdapterPool(given.space.candidates, given.space.kinds, 0))
        clean = outputs(model)
        assert torch.equal(outputs(model, DamagedPaths(model.adapters, 0.0, seed=0)), clean)
        hurt = outputs(model, DamagedPaths(model.adapters, 1.0, seed=0))
        assert torch.equal(hurt, clean) is not has_paths(given.backbone.model, model.adapters)
        assert has_paths(given.backbone.model, model.adapters) is not kind.startswith("tokenGate")
        assert torch.equal(outputs(model), clean)

    @pytest.mark.parametrize("kind", ["prefix", "taskPrompt"])
    def test_a_decoder_s_cache_holds_each_token_once_whatever_is_damaged(self, kind: str) -> None:
        backbone = tiny("qwen3")
        space = build_space(contract.Space.model_validate(KINDS[kind]), backbone.sites)
        pool = AdapterPool(space.candidates, space.kinds, 0)
        ids = torch.randint(5, 99, (1, 9), generator=torch.Generator().manual_seed(0))
        with torch.no_grad(), DamagedPaths(pool, 1.0, seed=0).attached(backbone.model):
            pool.use(None)
            cache = backbone.model(input_ids=ids, use_cache=True).past_key_values
        assert cache.get_seq_length() == 9

    @pytest.mark.parametrize("name", ["full", "bitFit"])
    def test_weights_of_the_backbone_itself_are_no_adapters(self, name: str) -> None:
        given = problem()
        assert not has_paths(given.backbone.model, build(given, METHODS[name]).adapters)

    def test_fresh_adapters_have_nothing_to_lose(self) -> None:
        given = problem()
        model = AdaptedModel(given.backbone, pool_of(given), given.new_heads(), "mean")
        assert torch.equal(outputs(model, DamagedPaths(model.adapters, 1.0, seed=0)), outputs(model))

    def test_a_damaged_adapter_adds_noise_of_the_size_of_what_it_said(self) -> None:
        given = problem()
        model = fitted(given, pool_of(given))
        site = next(s for s in given.backbone.sites if s.slot == "attention.query" and s.layer == 0)
        module = given.backbone.model.get_submodule(site.module)
        x = torch.randn(64, 50, 32, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            frozen = module(x)
            with model.adapters.attached(given.backbone.model):
                said = module(x) - frozen
            with DamagedPaths(model.adapters, 1.0, seed=0).attached(given.backbone.model):
                noise = module(x) - frozen
        assert float(noise.square().mean() / said.square().mean()) == pytest.approx(1.0, rel=0.05)
        assert abs(float((noise * said).mean() / said.square().mean())) < 0.05

    def test_what_is_damaged_at_a_small_ratio_is_damaged_at_a_larger_one(self) -> None:
        paths = [f"encoder.layer.{layer}.{place}" for layer in range(12) for place in ("query", "value")]
        hit = [
            {path for path in paths if DamagedPaths(None, ratio, 4)._hit(path)}  # type: ignore[arg-type]
            for ratio in (0.0, 0.1, 0.5, 1.0)
        ]
        assert hit[0] == set()
        assert hit[1] <= hit[2] <= hit[3] == set(paths)


class TestWeight:
    def test_the_noise_has_the_stated_size_and_goes_again(self) -> None:
        pool = pool_of(problem(budget=40_000))
        with torch.no_grad():
            for weight in pool.parameters():
                weight.normal_(generator=torch.Generator().manual_seed(2))
        before = copy.deepcopy(pool.state_dict())
        with noisy_weights(pool, 0.1, seed=0):
            moved = torch.cat([(v - before[k]).flatten() / before[k].std() for k, v in pool.state_dict().items()])
        assert float(moved.std()) == pytest.approx(0.1, rel=0.03)
        assert all(torch.equal(value, before[name]) for name, value in pool.state_dict().items())

    def test_without_noise_nothing_is_touched(self) -> None:
        pool = pool_of(problem())
        before = copy.deepcopy(pool.state_dict())
        with noisy_weights(pool, 0.0, seed=0):
            assert all(torch.equal(value, before[name]) for name, value in pool.state_dict().items())


def test_rounding_to_eight_bits_moves_a_weight_by_half_a_step_at_most() -> None:
    weight = torch.randn(5, 40, generator=torch.Generator().manual_seed(0))
    steps = weight.abs().amax(1, keepdim=True) / 127
    assert bool(((rounded(weight) - weight).abs() <= steps / 2 * 1.0001).all())
    assert all(len(set(row.tolist())) <= 255 for row in rounded(weight))
    whole = torch.tensor([-127.0, 0.0, 64.0, 127.0])
    assert torch.equal(rounded(whole), whole)
    assert torch.equal(rounded(torch.zeros(2, 3)), torch.zeros(2, 3))
