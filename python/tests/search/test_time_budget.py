"""Budgets in step time: every method keeps them, and a search finds the layers that matter within them.

The costs are given: a layer takes 0.6 ms forward, of which 0.2 are for keeping activations, and 1 ms backward; a site's
adapter 0.1 ms and 0.05 ms a rank. The full structure of three layers takes 10.6 ms; 60 % of it pay for every site of
the top layer, for two layers in part, or for all three with a few sites.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
import torch
from conftest import tiny
from problems import LINEARS, budgeted, heads, paper, problem

from espalier_runtime import contract
from espalier_runtime.search.budgeted import search_budgeted
from espalier_runtime.search.fixed import draw_random, separate, top_layers, uniform
from espalier_runtime.search.importance import search_importance
from espalier_runtime.search.paper import search_paper
from espalier_runtime.search.problem import Found, SearchProblem
from espalier_runtime.search.saliency import search_saliency
from espalier_runtime.structure.gates import FixedGates
from espalier_runtime.structure.measured import AdapterCost, StepMemory, StepTimes
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import Candidate, build_space
from espalier_runtime.structure.stated import Costs, limits_of, reachable
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.tasks.tokenise import TokenIds
from espalier_runtime.training.loop import train
from espalier_runtime.training.model import AdaptedModel

ROWS, EPOCHS = 400, 8

SPACE = contract.Space(slots=LINEARS, layers=None, kinds=[contract.LoraKind(kind="lora", ranks=[1, 2, 4], scale=2.0)])
ABOVE = {"mlp.down": 0.1, "mlp.up": 0.4, "attention.output": 0.6}


def costs() -> Costs:
    sites = tiny("bert").sites
    above = {site.name: ABOVE.get(site.slot, 0.9) for site in sites}
    adapters = {f"{slot}/lora": AdapterCost(0.1, 0.05) for slot in LINEARS}
    times = StepTimes(0.5, (0.4,) * 3, (0.6,) * 3, (1.0,) * 3, above, adapters, AdapterCost(0.0, 0.0))
    kept = {f"{slot}/lora": AdapterCost(512.0, 64.0) for slot in LINEARS}
    memory = StepMemory(2.0**16, (4096.0,) * 3, {name: 4096 * part for name, part in above.items()}, kept, {})
    whole = build_space(SPACE, sites).candidates
    return Costs(times, memory, times.price(whole).of(range(len(whole))))


def within(spec: contract.Budget, tasks: int = 2, **changes: object) -> SearchProblem:
    backbone = tiny("bert")
    whole = build_space(SPACE, backbone.sites)
    limits = limits_of(spec, whole, backbone.parameters, costs())
    space = whole.within(reachable(limits))
    given = problem(space=SPACE, tasks=tasks, **changes)
    return SearchProblem(**{**vars(given), "space": space, "limits": limits.over(space.candidates)})


def step(found: Found) -> float:
    chosen = found.structure.candidates
    return costs().step.price(chosen).of(range(len(chosen)))


def find(given: SearchProblem, method: str) -> Found:
    match method:
        case "budgeted":
            return search_budgeted(given, budgeted(), "m")
        case "paper":
            return search_paper(given, paper(0.1), "m")
        case "importance":
            return search_importance(given, contract.ImportanceMethod(method="importance"), "m")
        case "saliency":
            return search_saliency(given, contract.SaliencyMethod(method="saliency", batches=2), "m")
        case "uniform":
            return uniform(given, None, "m")
        case "topLayers":
            return top_layers(given, 2, None, "m")
        case "separate":
            return separate(given, None, "m")
        case _:
            return draw_random(given, int(method[-1]), "m")


METHODS = ["budgeted", "paper", "importance", "saliency", "uniform", "topLayers", "separate", "random0", "random1"]
ALL_AT_ONCE = contract.Budget(step_time=0.7, memory=90_000, parameters=2000)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("spec", [contract.Budget(step_time=0.6), contract.Budget(memory=90_000), ALL_AT_ONCE])
def test_every_method_keeps_every_limit(method: str, spec: contract.Budget) -> None:
    given = within(spec)
    found = find(given, method).structure
    assert found.candidates
    missed = given.limits.over(found.candidates).missed_by(range(len(found.candidates)))
    assert missed is None
    if method not in ("separate", "topLayers"):
        chosen = given.space.places_of(found.candidates)
        rest = set(range(len(given.space.candidates))) - set(chosen)
        assert all(given.limits.missed_by([*chosen, other]) is not None for other in rest)


def test_uniform_takes_the_depth_at_which_most_sites_can_be_adapted() -> None:
    found = uniform(within(contract.Budget(step_time=0.6)), None, "m").structure
    # All twelve sites of two layers fit at rank 1, and the nearest of the third; going deeper leaves room for fewer.
    adapted = {(c.site.layer, c.site.slot) for c in found.candidates if c.level == 0}
    assert adapted == {(layer, slot) for layer in (1, 2) for slot in LINEARS} | {(0, "mlp.down")}


def planted() -> tuple[Corpus, Corpus]:
    """Rows whose class is what the model says once its top layer is changed: to train on, and held out.

    Of more rows those are taken whose class is clearest.
    """
    backbone = tiny("bert")
    generator = torch.Generator().manual_seed(0)
    texts = [torch.randint(5, 25, (4,), generator=generator).tolist() for _ in range(4 * ROWS)]
    every = build_space(SPACE, backbone.sites)
    pool = AdapterPool([c for c in every.candidates if c.site.layer == 2], every.kinds, 0)
    for weight in pool.parameters():
        torch.nn.init.normal_(weight, std=0.3, generator=generator)
    teacher = AdaptedModel(backbone, pool, heads(1), "mean")
    with pool.attached(backbone.model):
        outputs = teacher.outputs(of_rows(texts, [0.0] * len(texts)).batch(range(len(texts))), None)
    margin = outputs[:, 1] - outputs[:, 0]
    margin -= margin.median()
    clear = margin.abs().argsort(descending=True)[: 2 * ROWS].sort().values.tolist()
    rows = [texts[place] for place in clear]
    labels = [float(margin[place] > 0) for place in clear]
    return of_rows(rows[:ROWS], labels[:ROWS]), of_rows(rows[ROWS:], labels[ROWS:])


def of_rows(texts: Sequence[list[int]], labels: Sequence[float]) -> Corpus:
    rows = [(0, TokenIds(ids, None, False), label) for ids, label in zip(texts, labels, strict=True)]
    return Corpus(["task0"], rows, 0, torch.device("cpu"))


def accuracy(given: SearchProblem, candidates: Sequence[Candidate], held_out: Corpus) -> float:
    """Of a fresh fit of the structure."""
    pool = AdapterPool(candidates, given.space.kinds, 0)
    model = AdaptedModel(given.backbone, pool, heads(1), "mean")
    train(model, given.corpus, FixedGates(None), given.training, seed=0, epochs=EPOCHS, report=lambda *_: None)
    with pool.attached(given.backbone.model):
        outputs = model.outputs(held_out.batch(range(len(held_out))), None)
    return float((outputs.argmax(1) == torch.tensor(held_out.labels)).double().mean())


def test_a_search_under_a_time_budget_finds_the_top_layer_that_alone_matters() -> None:
    rows, held_out = planted()
    given = within(contract.Budget(step_time=0.6), tasks=1, epochs=EPOCHS, batchSize=16)
    given = dataclasses.replace(given, corpus=rows)
    # No gradient passes the top layer's input, though backward goes on below it: lower adapters learn nothing.
    top = given.backbone.model.get_submodule("encoder.layer.2")
    top.register_forward_pre_hook(lambda module, args: (args[0].detach() + 0.0 * args[0], *args[1:]))
    found = search_budgeted(given, budgeted(), "m")
    chosen, everything = found.structure.candidates, build_space(SPACE, given.backbone.sites).candidates
    of_top = [c for c in everything if c.site.layer == 2]
    assert step(found) <= 0.6 * costs().full_step
    assert sum(c in chosen for c in of_top) >= 16  # of 18; what is left of the budget goes to the next layer
    whole = accuracy(given, everything, held_out)
    assert accuracy(given, chosen, held_out) > whole - 0.03
    assert accuracy(given, [c for c in everything if c.site.layer < 2], held_out) < whole - 0.1
