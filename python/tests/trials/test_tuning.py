"""The sweep of learning rates, and that nothing but the final evaluation sees the evaluation split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from trials.test_run import COMMON, Listening, plan, run

from espalier_runtime import contract
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.tasks.sealed import SealedSplits

COMMON["adapterFusion"] = {"size": 1, "attention": 1}
COMMON["adaLora"] = {
    "rank": 1,
    "scale": 2.0,
    "slots": ["attention.query"],
    "startFactor": 2,
    "warmup": 0.1,
    "settled": 0.3,
    "orthogonality": 0.5,
}
TUNE: dict[str, Any] = {"learningRates": [1e-8, 3e-3], "fraction": 0.25}


def tuned_plan(*methods: str, seeds: list[int]) -> dict[str, Any]:
    given = plan(*methods, seeds=seeds, maxSteps=3, epochs=1, headInit="zero")
    return {**given, "tune": TUNE}


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, contract.RunRecord, Listening]:
    directory = tmp_path_factory.mktemp("runs") / "tuned"
    context = Listening()
    given = tuned_plan("uniform", "head", seeds=[0, 1])
    given["methods"][1]["learningRate"] = 0.03  # ten times the plan's: it is tried at ten times the rates
    return directory, run(given, directory, context), context


def read(directory: Path, method: str) -> contract.Tuning:
    return contract.Tuning.model_validate_json((directory / "tuning" / f"{method}.json").read_text())


def test_every_method_is_tried_at_as_many_rates_and_the_best_is_used(tuned: Any) -> None:
    directory, record, _ = tuned
    for method, rates in (("uniform", [1e-8, 3e-3]), ("head", [1e-7, 3e-2])):
        tuning = read(directory, method)
        assert [entry.learning_rate for entry in tuning.rates] == pytest.approx(rates)
        best = max(tuning.rates, key=lambda e: (float(e.score or 0), -float(e.loss or 0)))
        assert tuning.chosen == best.learning_rate
        for row in (row for row in record.rows if row.method == method):
            assert row.learning_rate == tuning.chosen
            assert row.seconds.tune == tuning.seconds > 0
        for seed in (0, 1):
            result = json.loads((directory / f"trials/{method}-seed{seed}/result.json").read_text())
            assert result["learningRate"] == tuning.chosen


def test_a_finished_sweep_is_not_run_again(tuned: Any) -> None:
    directory, _, first = tuned
    swept = [e["trial"] for e in first.heard if e["type"] == "stage.started" and e["stage"] == "tune"]
    assert swept == ["uniform-seed0", "head-seed0"]
    (directory / "trials/head-seed1/result.json").unlink()
    context = Listening()
    run(json.loads((directory / "plan.json").read_text()), directory, context)
    assert [e["stage"] for e in context.heard if e["type"] == "stage.started" and e["trial"]] == ["fit", "evaluate"]


def test_progress_counts_the_sweep(tuned: Any) -> None:
    _, _, context = tuned
    done = [event["done"] for event in context.heard if event["type"] == "progress"]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(1.0)


def test_no_search_stopping_or_tuning_sees_an_evaluation_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every batch of the evaluation split is made after its trial's last step, under the seal's one opening."""
    moments: list[str] = []
    given = tuned_plan("budgeted", "adapterFusion", "adaLora", seeds=[0])
    given["training"]["earlyStopping"] = {"fraction": 0.2, "patience": 1}
    opening, batch = SealedSplits.open, Corpus.batch

    def opened(self: SealedSplits, reader: str) -> tuple[Corpus, ...]:
        splits = opening(self, reader)
        moments.append(f"open {reader}")
        for split in splits:
            split.__dict__["secret"] = True
        return splits

    def batched(self: Corpus, rows: Any) -> Any:
        if self.__dict__.get("secret"):
            moments.append("evaluation rows")
        return batch(self, rows)

    monkeypatch.setattr(SealedSplits, "open", opened)
    monkeypatch.setattr(Corpus, "batch", batched)

    class Steps(Listening):
        def emit(self, event: Any) -> dict[str, object]:
            if event["type"] == "stage.started" and event["stage"] in ("tune", "search", "fit"):
                moments.append(f"{event['stage']} {event['trial']}")
            return super().emit(event)

    run(given, tmp_path / "run", Steps())
    for method in given["methods"]:
        trial = f"{method['name']}-seed0"
        assert moments.count(f"open {trial}") == 1
        opened_at = moments.index(f"open {trial}")
        assert max(i for i, m in enumerate(moments) if m.endswith(trial) and not m.startswith("open")) < opened_at
    started: str | None = None
    for moment in moments:
        if moment == "evaluation rows":
            assert started is not None
            assert started.startswith("open ")
        else:
            started = moment
