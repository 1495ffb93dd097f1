"""Calibration on a tiny model: no test looks at how long anything takes, only at what is true of any machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import FAMILIES, tiny
from problems import LINEARS, corpus, heads, training

from espalier_runtime import contract
from espalier_runtime.structure.space import Candidate, build_space
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.tasks.tokenise import TokenIds
from espalier_runtime.trials import step_memory
from espalier_runtime.trials.calibrate import Workload, measure_times, median_batch
from espalier_runtime.trials.device_costs import device_costs
from espalier_runtime.trials.step_memory import measure_memory, peak_bytes

SPACE = contract.Space(slots=LINEARS, layers=None, kinds=[contract.LoraKind(kind="lora", ranks=[1, 4], scale=2.0)])


def work(family: str = "bert", batch: int = 8, **changes: object) -> Workload:
    backbone = tiny(family)
    given = training(batchSize=batch, **changes)
    return Workload(backbone, build_space(SPACE, backbone.sites), corpus(), given, heads(2))


@pytest.mark.parametrize("family", ["bert", "distilbert", "gpt2"])
def test_every_layer_and_site_is_timed(family: str) -> None:
    if family not in FAMILIES:
        pytest.skip("no such tiny model")
    given = work(family)
    times = measure_times(given, given.typical_batch)
    assert len(times.forward) == len(times.backward) == given.backbone.layers
    assert all(ms > 0 for ms in [*times.forward, *times.backward, *times.frozen, times.rest])
    assert set(times.above) == {site.name for site in given.backbone.sites}
    assert set(times.adapters) == {f"{c.site.slot}/lora" for c in given.space.candidates}
    price = times.price(given.space.candidates)
    assert min(*price.depth, *price.own, *price.parts.values()) >= 0
    deepest = max(range(len(price.depth)), key=price.depth.__getitem__)
    assert given.space.candidates[deepest].site.layer == 0
    # What was watched is itself again.
    hooks = [m for m in given.backbone.model.modules() if m._forward_hooks or m._forward_pre_hooks]
    assert hooks == []


def structure(name: str) -> Callable[[Candidate], bool]:
    return {
        "everything": lambda c: True,
        "two layers": lambda c: c.site.layer >= 1,
        "one rank": lambda c: c.level == 0,
        "query and value": lambda c: c.site.layer >= 1 and c.site.slot in ("attention.query", "attention.value"),
    }[name]


@pytest.mark.parametrize("changes", [{}, {"gradientCheckpointing": True}, {"dtype": "bfloat16"}], ids=str)
@pytest.mark.parametrize("name", ["everything", "two layers", "one rank", "query and value"])
def test_predicted_memory_is_within_a_tenth_of_what_a_step_holds(name: str, changes: dict[str, object]) -> None:
    given = work(batch=24, **changes)
    part = given.largest_part
    memory = measure_memory(given, part)
    chosen = [c for c in given.space.candidates if structure(name)(c)]
    predicted = memory.price(chosen).of(range(len(chosen)))
    model = given.model(chosen)
    assert predicted == pytest.approx(peak_bytes(given, model, part), rel=0.1)
    assert all(weight.grad is None for weight in model.trained())


def test_costs_are_read_back_from_beside_the_run_and_from_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPALIER_HOME", str(tmp_path / "home"))
    given, beside = work(), tmp_path / "costs.json"
    first = device_costs(given, SPACE, beside)
    (kept,) = (tmp_path / "home" / "costs").iterdir()
    assert json.loads(kept.read_text()) == json.loads(beside.read_text())
    assert device_costs(given, SPACE, None) == first
    kept.unlink()
    assert device_costs(given, SPACE, beside) == first
    assert kept.is_file()


def test_costs_that_are_torn_or_of_another_batch_are_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESPALIER_HOME", str(tmp_path))
    device_costs(work(), SPACE, None)
    (kept,) = (tmp_path / "costs").iterdir()
    kept.write_text(kept.read_text()[:50])
    device_costs(work(), SPACE, None)
    assert json.loads(kept.read_text())["version"] == 1
    device_costs(work(batch=4), SPACE, None)
    # A head that reads one token leaves the last layer less to do.
    device_costs(work(pooling="first"), SPACE, None)
    assert len(list((tmp_path / "costs").iterdir())) == 3


def test_costs_are_those_of_steps_that_compute_as_the_fit_will(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPALIER_HOME", str(tmp_path))
    plain = device_costs(work(batch=24), SPACE, None)
    less = device_costs(work(batch=24, gradientCheckpointing=True), SPACE, None)
    assert len(list((tmp_path / "costs").iterdir())) == 2
    everything = work().space.candidates
    held = [costs.memory.price(everything).of(range(len(everything))) for costs in (plain, less)]
    assert held[1] < 0.8 * held[0]


def test_a_pass_measures_as_many_slots_as_there_are_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[list[int]] = []
    measured = step_memory._saved

    def counted(given: Workload, part: list[int], candidates: list[Candidate]) -> object:
        passes.append([c.site.layer for c in candidates if c.level == 0])
        return measured(given, part, candidates)

    monkeypatch.setattr(step_memory, "_saved", counted)
    given = work()
    measure_memory(given, given.largest_part)
    # Nothing adapted; then six slots, each with few and with all ranks, in three layers.
    assert [sorted(layers) for layers in passes] == [[], *[[0, 1, 2]] * 4]


def test_typical_batches_are_unlike_and_nearest_the_median_size() -> None:
    given = work(batch=4)
    middle = given.corpus.tokens(given.typical_batch)
    far = [abs(given.corpus.tokens(batch) - middle) for batch in given.typical_batches(12)]
    assert far == sorted(far)
    assert len({tuple(batch) for batch in given.typical_batches(12)}) == 12
    assert given.typical_batches(24)[12:] == given.typical_batches(12)


def test_the_batch_is_that_of_median_size() -> None:
    rows = [(0, TokenIds([1] * length, None, False), 0.0) for length in (9, 2, 3, 3, 1)]
    corpus = Corpus(["task"], rows, 0, torch.device("cpu"))
    assert median_batch([[0, 1], [2, 3], [4]], corpus) == [2, 3]


def test_a_measured_model_trains_as_before() -> None:
    given = work()
    model = given.model(given.space.candidates)
    before = [weight.clone() for weight in model.trained()]
    peak_bytes(given, model, given.largest_part)
    measure_memory(given, given.largest_part)
    assert all(torch.equal(weight, kept) for weight, kept in zip(model.trained(), before, strict=True))
