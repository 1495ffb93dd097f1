"""The robustness card of a finished run on the real MiniLM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trials.test_run import COMMON, Listening, plan, run

from espalier_runtime import contract
from espalier_runtime.errors import InputError
from espalier_runtime.records.directory import RunDirectory
from espalier_runtime.robustness.activation import noisy_activations
from espalier_runtime.robustness.input import noisy_input
from espalier_runtime.robustness.weight import noisy_weights
from espalier_runtime.runner import measure_robustness
from espalier_runtime.stats import interval
from espalier_runtime.trials.fitted import load_fitted
from espalier_runtime.trials.prepare import Prepared, prepare
from espalier_runtime.trials.robustness import damaged, scored, under_activation_noise

COMMON["bitFit"] = {}
COMMON["topLayers"] = {"layers": 1, "kind": None}
METHODS = ("uniform", "head", "bitFit", "topLayers")


class Heard(Listening):
    """Keeps how far the card was at each step."""

    def emit(self, event: Any) -> dict[str, object]:
        self.heard.append(dict(event))
        return {}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, contract.Robustness, Heard]:
    directory = tmp_path_factory.mktemp("runs") / "small"
    given = plan(*METHODS, maxSteps=2, maxLength=16)
    given["tasks"] = given["tasks"][:1]
    run(given, directory)
    context = Heard()
    return directory, card_of(directory, context=context), context


def card_of(directory: Path, context: Heard | None = None, **changes: object) -> contract.Robustness:
    wanted = {"perturbations": ["input", "activation", "path", "weight"], "ratios": [0.1, 0.2], "rows": None}
    payload = {"directory": str(directory), **wanted, **changes}
    return contract.Robustness.model_validate(measure_robustness(payload, context or Heard()))


def test_without_noise_every_score_is_the_recorded_one_bit_for_bit(finished: Any) -> None:
    directory, card, _ = finished
    assert card.warnings == []
    for trial in (directory / "trials").iterdir():
        result = json.loads((trial / "result.json").read_text())
        measured = json.loads((trial / "robustness.json").read_text())
        assert measured["tasks"]["snips"]["clean"] == result["tasks"]["snips"]["score"]


@pytest.fixture(scope="module")
def prepared(finished: Any) -> Prepared:
    directory, _, _ = finished
    return prepare(contract.Plan.model_validate_json((directory / "plan.json").read_text()), directory / "costs.json")


@pytest.mark.parametrize("method", METHODS)
def test_every_perturbation_of_ratio_zero_changes_no_output(finished: Any, prepared: Prepared, method: str) -> None:
    directory, _, _ = finished
    given = prepared.plan
    trial = next(entry for entry in given.trials if entry.method == method and entry.seed == 1)
    chosen = next(entry for entry in given.methods if entry.name == method)
    fitted = load_fitted(prepared, trial, chosen, RunDirectory(directory).trial(trial.id))
    split = prepared.evaluation.open(f"a test of {method}")[0]
    clean = scored(prepared, fitted, 0, split).outputs
    special = prepared.backbone.tokenizer.all_special_ids
    same = [scored(prepared, fitted, 0, noisy_input(split, 0.0, 30_522, special, 1)).outputs]
    same.append(scored(prepared, damaged(fitted, 0, 0.0, 1), 0, split).outputs)
    with noisy_activations(prepared.backbone, 0.0, 1), noisy_weights(fitted.model.adapters, 0.0, 1):
        same.append(scored(prepared, fitted, 0, split).outputs)
    assert all(np.array_equal(outputs, clean) for outputs in same)


def test_what_is_kept_of_the_frozen_layers_is_neither_read_nor_written_under_noise(
    finished: Any, prepared: Prepared
) -> None:
    directory, _, _ = finished
    trial = next(entry for entry in prepared.plan.trials if entry.id == "topLayers-seed0")
    method = next(entry for entry in prepared.plan.methods if entry.name == "topLayers")
    fitted = load_fitted(prepared, trial, method, RunDirectory(directory).trial(trial.id))
    assert fitted.model.adapters.lowest_layer == 5
    split = prepared.evaluation.open("a test of the cache")[0]
    special = prepared.backbone.tokenizer.all_special_ids
    assert split.cache is not None
    noisy = noisy_input(split, 0.2, 30_522, special, 0)
    # A corpus without a cache from the first is what its noise is to be on.
    bare = noisy_input(split.uncached(), 0.2, 30_522, special, 0)
    assert np.array_equal(scored(prepared, fitted, 0, noisy).outputs, scored(prepared, fitted, 0, bare).outputs)
    clean = scored(prepared, fitted, 0, split).outputs
    hurt = under_activation_noise(prepared, fitted, 0, split, 0.2, 0).outputs
    again = under_activation_noise(prepared, fitted, 0, split.uncached(), 0.2, 0).outputs
    assert np.array_equal(hurt, again)
    assert not np.allclose(hurt, clean)
    assert np.array_equal(scored(prepared, fitted, 0, split).outputs, clean)


def test_a_curve_for_each_task_perturbation_and_method_with_its_area(finished: Any) -> None:
    directory, card, _ = finished
    assert [(c.task, c.perturbation, c.method) for c in card.curves] == [
        (task, name, method)
        for task in ("snips",)
        for name in ("input", "activation", "path", "weight")
        for method in METHODS
        if (name, method) != ("path", "bitFit")
    ]
    assert [(e.method, e.perturbation) for e in card.left_out] == [("bitFit", "path")]
    for curve in card.curves:
        zero, middle, last = (float(point.mean) for point in curve.points)
        assert float(curve.area) == pytest.approx((zero / 2 + middle + last / 2) / 2)
        assert (curve.difference is None) == (curve.method == "uniform")
    by_seed = []
    for seed in (0, 1):
        measured = json.loads((directory / f"trials/uniform-seed{seed}/robustness.json").read_text())["tasks"]["snips"]
        by_seed.append(
            (measured["clean"] / 2 + measured["scores"]["input"][0] + measured["scores"]["input"][1] / 2) / 2
        )
    assert card.curves[0].area_ci95 == pytest.approx(interval(by_seed))


def test_a_method_that_adapts_nothing_is_hurt_by_its_input_alone(finished: Any) -> None:
    _, card, _ = finished
    flat = {
        (curve.task, curve.perturbation): len({float(point.mean) for point in curve.points}) == 1
        for curve in card.curves
        if curve.method == "head"
    }
    assert all(flat[task, name] for task in ("snips",) for name in ("path", "weight"))
    assert not flat["snips", "input"]
    assert [entry.change for entry in card.rounding if entry.method == "head"] == [0.0]


def test_progress_never_goes_back_and_ends_at_one(finished: Any) -> None:
    done = [event["done"] for event in finished[2].heard]
    assert done == sorted(done)
    assert done[-1] == 1.0


def test_the_card_is_kept_and_what_was_measured_is_not_measured_again(finished: Any) -> None:
    directory, card, _ = finished
    assert contract.Robustness.model_validate_json((directory / "robustness.json").read_text()) == card
    file = directory / "trials/uniform-seed0/robustness.json"
    known = json.loads(file.read_text())
    known["tasks"]["snips"]["scores"]["input"] = [0.25, 0.125]
    file.write_text(json.dumps(known))
    assert card_of(directory, perturbations=["input"]).curves[0].points[1].mean != card.curves[0].points[1].mean
    # Other ratios are other work.
    assert card_of(directory, perturbations=["input"], ratios=[0.2]).curves[0].points[1].mean != 0.125


def test_a_sample_of_the_rows_is_the_same_for_every_method(finished: Any) -> None:
    directory, _, _ = finished
    card = card_of(directory, perturbations=["weight"], ratios=[0.1], rows=10)
    assert card.rows == 10
    assert all((10 * seed_mean) % 0.5 == 0 for seed_mean in (float(c.points[0].mean) for c in card.curves))


def test_a_run_without_a_finished_trial_has_no_card(finished: Any, tmp_path: Path) -> None:
    directory, _, _ = finished
    (tmp_path / "plan.json").write_text((directory / "plan.json").read_text())
    with pytest.raises(InputError, match="no trial of this run is finished"):
        card_of(tmp_path)
