"""The whole path on the real MiniLM and a few rows of the embedded tasks: plan in, run directory out."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from espalier_runtime import contract
from espalier_runtime.errors import InputError, TrialError
from espalier_runtime.export import native
from espalier_runtime.jobs import Cancelled, JobContext
from espalier_runtime.runner import export_run, inspect, run_plan
from espalier_runtime.tasks.load import load_task

COMMON: dict[str, dict[str, Any]] = {
    "budgeted": {
        "fit": "retrain",
        "epochs": None,
        "gateLearningRate": 0.05,
        "taskGateLearningRate": 0.005,
        "temperature": [1, 0.25],
        "budgetReached": 0.6,
        "noise": True,
    },
    "saliency": {"fit": "retrain", "batches": 2},
    "uniform": {"kind": None},
    "random": {"draws": 2},
    "head": {},
    "from": {},
}


def rows_of(task: str, train: int, evaluation: int) -> dict[str, Any]:
    """The first rows of an embedded task, given as rows."""
    loaded = load_task(contract.EmbeddedTask(name=task, kind="classification", metric=None, source="embedded", id=task))

    def rows(examples: list[Any]) -> list[dict[str, Any]]:
        return [
            {"text": e.text, "label": loaded.labels[int(e.label)]} | ({"text_pair": e.text_pair} if e.text_pair else {})
            for e in examples
        ]

    return {
        "name": task,
        "kind": "classification",
        "metric": None,
        "source": "rows",
        "train": rows(loaded.train[:train]),
        "validation": None,
        "test": rows(loaded.evaluation[:evaluation]),
    }


def plan(*methods: str, seeds: list[int] | None = None, **training: Any) -> dict[str, Any]:
    seeds = seeds or [0, 1]
    made = [{"method": method, "name": method, **COMMON[method]} for method in methods]
    settings = {
        "epochs": 1,
        "maxSteps": 6,
        "batchSize": 16,
        "maxTokens": 4096,
        "learningRate": 3e-3,
        "schedule": "linear",
        "warmup": 0.06,
        "weightDecay": 0.01,
        "gradientClip": 1,
        "maxLength": 32,
        "pooling": "mean",
        "headInit": "probe",
        "earlyStopping": None,
        "device": "cpu",
        "threads": None,
    }
    return {
        "version": 1,
        "name": "small",
        "backbone": {"source": "embedded", "name": "minilm"},
        "tasks": [rows_of("snips", 80, 20), rows_of("qnli", 40, 20)],
        "space": {
            "slots": ["attention.query", "mlp.down", "attention"],
            "layers": None,
            "kinds": [
                {"kind": "lora", "ranks": [1, 2], "scale": 2.0},
                {"kind": "bottleneck", "sizes": [2], "activation": "gelu", "scale": 1.0},
            ],
        },
        "budget": {"parameters": 12_000},
        "methods": made,
        "training": {**settings, **training},
        "seeds": seeds,
        "trials": [
            {
                "id": f"{m['name']}-seed{seed}",
                "method": m["name"],
                "draw": seed if m["method"] == "random" else 0,
                "seed": seed,
            }
            for m in made
            for seed in seeds
        ],
    }


class Listening(JobContext):
    """Keeps what is emitted, and cancels at the n-th progress event where asked to."""

    def __init__(self, cancel_at: int | None = None) -> None:
        super().__init__()
        self.heard: list[dict[str, object]] = []
        self._cancel_at = cancel_at

    def emit(self, event: Any) -> dict[str, object]:
        self.heard.append(dict(event))
        if sum(e["type"] == "trial.finished" for e in self.heard) == self._cancel_at:
            self.cancel()
        return super().emit(event)


class Asked(JobContext):
    """Makes the file that asks the run to stop when the first step is done."""

    def __init__(self, stop: Path) -> None:
        super().__init__()
        self._stop = stop

    def emit(self, event: Any) -> dict[str, object]:
        if event["type"] == "progress":
            self._stop.touch()
        return super().emit(event)


def run(given: dict[str, Any], directory: Path, context: JobContext | None = None) -> contract.RunRecord:
    directory.mkdir(exist_ok=True)
    (directory / "plan.json").write_text(json.dumps(given))
    result = run_plan({"plan": given, "directory": str(directory), "host": {"node": "v20"}}, context or Listening())
    return contract.RunRecord.model_validate(result)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, contract.RunRecord, Listening]:
    directory = tmp_path_factory.mktemp("runs") / "small"
    context = Listening()
    return directory, run(plan("budgeted", "uniform", "random", "head"), directory, context), context


def test_a_run_has_a_row_for_each_task_and_method(finished: Any) -> None:
    _, record, _ = finished
    assert record.status == "done"
    assert [(row.task, row.method) for row in record.rows] == [
        (task, method) for task in ("snips", "qnli") for method in ("budgeted", "uniform", "random", "head")
    ]
    assert all(row.seeds == 2 and row.failed == 0 and row.ci95 is not None for row in record.rows)
    assert all(0 < row.parameters.union <= 12_000 for row in record.rows if row.method != "head")
    assert all(row.parameters.task <= row.parameters.union for row in record.rows)


def test_the_answer_is_compared_with_each_rival(finished: Any) -> None:
    _, record, _ = finished
    assert [(c.task, c.a, c.b) for c in record.comparisons] == [
        (task, "budgeted", rival) for task in ("snips", "qnli") for rival in ("uniform", "random", "head")
    ]
    assert all(c.p <= c.p_adjusted <= 1 for c in record.comparisons)
    # Two methods that agree on every one of so few items show nothing of what could have been seen.
    assert all((c.detectable is None) == (c.ci95 == (0, 0)) for c in record.comparisons)
    assert any(c.detectable is not None and c.detectable > 0 for c in record.comparisons)


def test_over_tasks_scores_and_differences_are_the_means_of_the_tasks(finished: Any) -> None:
    directory, record, _ = finished
    for over in record.over_tasks.rows:
        own = [row for row in record.rows if row.method == over.method]
        assert over.mean == pytest.approx(sum(row.mean for row in own) / 2)
        assert (over.task, over.metric, over.split, over.seeds) == (None, "accuracy", own[0].split, 2)
        assert over.parameters.task == over.parameters.union == own[0].parameters.union
    for over in record.over_tasks.comparisons:
        own = [c.difference for c in record.comparisons if c.b == over.b]
        assert over.difference == pytest.approx(sum(own) / 2)
    # Holm's correction counts them too: the smallest p of all is multiplied by their number.
    every = [*record.comparisons, *record.over_tasks.comparisons]
    smallest = min(every, key=lambda c: c.p)
    assert smallest.p_adjusted == pytest.approx(min(1.0, len(every) * smallest.p))
    table = pq.read_table(directory / "results.parquet").to_pylist()
    assert [(row["task"], row["method"]) for row in table[-4:]] == [
        (None, method) for method in ("budgeted", "uniform", "random", "head")
    ]


def test_a_row_says_what_the_search_lost_how_seeds_agree_and_what_all_of_it_took(finished: Any) -> None:
    directory, record, _ = finished
    budgeted, uniform, chance, head = record.rows[:4]
    assert budgeted.soft_before_fit is not None
    assert budgeted.hardened_before_fit is not None
    assert (uniform.soft_before_fit, head.hardened_before_fit) == (None, None)
    assert (uniform.overlap, head.overlap) == (1.0, None)
    assert 0 < chance.overlap < 1
    results = [
        contract.TrialResult.model_validate_json((directory / f"trials/budgeted-seed{seed}/result.json").read_text())
        for seed in (0, 1)
    ]
    spent = sum(r.seconds.search + r.seconds.fit + r.seconds.evaluate for r in results)
    assert budgeted.total_seconds == pytest.approx(spent)


def test_the_directory_holds_what_the_design_lists(finished: Any) -> None:
    directory, record, _ = finished
    for name in ("plan.json", "lock.json", "events.jsonl", "results.parquet", "comparisons.parquet", "record.json"):
        assert (directory / name).is_file(), name
    trial = directory / "trials" / "budgeted-seed0"
    for name in ("trial.json", "events.jsonl", "gates.parquet", "structure.json", "predictions.parquet", "result.json"):
        assert (trial / name).is_file(), name
    assert not (directory / "trials" / "uniform-seed0" / "gates.parquet").exists()
    gates = pq.read_schema(trial / "gates.parquet")
    assert gates.names == ["step", "task", "candidate", "value", "parameters"]
    assert not list(directory.rglob("*.tmp"))
    assert not (directory / "writer.lock").exists()
    assert contract.RunRecord.model_validate_json((directory / "record.json").read_text()) == record


def test_the_lock_says_what_ran(finished: Any) -> None:
    directory, _, _ = finished
    lock = json.loads((directory / "lock.json").read_text())
    assert lock["packages"]["torch"]
    assert lock["host"] == {"node": "v20"}
    assert len(lock["hashes"]["model"]) == len(lock["hashes"]["plan"]) == len(lock["hashes"]["data"]["snips"]) == 64


def test_predictions_say_what_was_predicted_for_each_row(finished: Any) -> None:
    directory, _, _ = finished
    table = pq.read_table(directory / "trials" / "budgeted-seed0" / "predictions.parquet").to_pylist()
    result = contract.TrialResult.model_validate_json((directory / "trials/budgeted-seed0/result.json").read_text())
    for task in ("snips", "qnli"):
        mine = [row for row in table if row["task"] == task]
        assert [row["row"] for row in mine] == list(range(20))
        right = sum(row["label"] == row["prediction"] for row in mine) / 20
        assert result.tasks[task].score == pytest.approx(right)


def test_progress_never_goes_back_and_ends_at_one(finished: Any) -> None:
    _, _, context = finished
    done = [event["done"] for event in context.heard if event["type"] == "progress"]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(1.0)


def test_events_fit_the_contract(finished: Any) -> None:
    from pydantic import TypeAdapter

    directory, _, _ = finished
    adapter: TypeAdapter[Any] = TypeAdapter(contract.Contract.model_fields["event"].annotation)
    for line in (directory / "events.jsonl").read_text().splitlines():
        adapter.validate_json(line)


def test_a_saved_adapter_predicts_what_the_trial_predicted(finished: Any) -> None:
    directory, _, _ = finished
    trial = directory / "trials" / "budgeted-seed0"
    adapter = native.load(trial / "adapter")
    given = json.loads((directory / "plan.json").read_text())["tasks"][0]["test"]
    predicted = adapter.predict("snips", [row["text"] for row in given])
    table = pq.read_table(trial / "predictions.parquet").to_pylist()
    labels = next(task.labels for task in adapter.card.tasks if task.name == "snips")
    assert predicted == [labels[int(row["prediction"])] for row in table if row["task"] == "snips"]


def test_both_exports_reload_with_equal_outputs(finished: Any, tmp_path: Path) -> None:
    directory, _, _ = finished
    for to in ("peft", "native"):
        payload = {"directory": str(directory), "to": to, "task": "snips", "destination": str(tmp_path)}
        (export,) = export_run(payload, Listening())["exports"]  # type: ignore[misc]
        assert export["maxDifference"] < 1e-5  # type: ignore[index]
        assert Path(export["path"]).is_dir()  # type: ignore[index]
    assert (tmp_path / "snips-peft" / "adapter_config.json").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"snips-peft", "snips-native"}


def test_an_adapter_is_refused_on_other_weights(finished: Any) -> None:
    from conftest import tiny

    directory, _, _ = finished
    with pytest.raises(InputError, match="trained on other weights"):
        native.load(directory / "trials" / "budgeted-seed0" / "adapter", tiny("bert"))


def test_a_second_run_of_a_finished_directory_trains_nothing_and_says_the_same(finished: Any) -> None:
    directory, record, _ = finished
    context = Listening()
    again = run(json.loads((directory / "plan.json").read_text()), directory, context)
    assert not [event for event in context.heard if event["type"] == "trial.finished"]
    assert (again.rows, again.comparisons, again.over_tasks) == (record.rows, record.comparisons, record.over_tasks)


def test_the_same_plan_gives_the_same_numbers(finished: Any, tmp_path: Path) -> None:
    directory, _, _ = finished
    given = json.loads((directory / "plan.json").read_text())
    given["trials"] = [trial for trial in given["trials"] if trial["id"] == "budgeted-seed0"]
    run(given, tmp_path / "again")
    for name in ("structure.json", "predictions.parquet", "adapter/adapter.safetensors", "gates.parquet"):
        first = (directory / "trials" / "budgeted-seed0" / name).read_bytes()
        assert first == (tmp_path / "again" / "trials" / "budgeted-seed0" / name).read_bytes(), name


def test_a_cancelled_run_keeps_its_finished_trials_and_continues(tmp_path: Path) -> None:
    given = plan("uniform", "head", seeds=[0])
    with pytest.raises(Cancelled):
        run(given, tmp_path / "run", Listening(cancel_at=1))
    assert (tmp_path / "run" / "trials" / "uniform-seed0" / "result.json").exists()
    assert not (tmp_path / "run" / "record.json").exists()
    context = Listening()
    assert run(given, tmp_path / "run", context).status == "done"
    assert [e["trial"] for e in context.heard if e["type"] == "trial.finished"] == ["head-seed0"]


def test_a_file_in_the_directory_asks_the_run_to_stop_and_the_next_run_is_not_asked(tmp_path: Path) -> None:
    given = plan("uniform", "head", seeds=[0])
    with pytest.raises(Cancelled):
        run(given, tmp_path / "run", Asked(tmp_path / "run" / "stop.request"))
    assert json.loads((tmp_path / "run" / "events.jsonl").read_text().splitlines()[-1])["status"] == "interrupted"
    assert run(given, tmp_path / "run").status == "done"


def test_continuing_from_the_search_starts_at_the_searched_weights(tmp_path: Path) -> None:
    given = plan("budgeted", seeds=[0], learningRate=1e-9, schedule="constant")
    given["methods"][0]["fit"] = "continue"
    run(given, tmp_path / "run")
    result = json.loads((tmp_path / "run/trials/budgeted-seed0/result.json").read_text())
    for task in ("snips", "qnli"):
        assert result["tasks"][task]["score"] == result["tasks"][task]["hardenedBeforeFit"]


def test_what_all_heads_start_from_is_computed_before_the_clock_of_the_first_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from espalier_runtime.trials import prepare as module

    original, computed = module.frozen_features, []

    def features(*given: Any) -> Any:
        computed.append((tmp_path / "run" / "trials").exists())
        return original(*given)

    monkeypatch.setattr(module, "frozen_features", features)
    given = plan("head", "uniform", seeds=[0])
    given["training"]["speed"] = {"cache": {"enabled": False}}
    run(given, tmp_path / "run")
    assert computed[0] is False


def test_a_trial_that_fails_is_recorded_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from espalier_runtime.trials import start as module

    def fails(*_: object) -> None:
        raise TrialError("the gates never moved")

    original = module.find_structure
    monkeypatch.setattr(
        module, "find_structure", lambda p, m, d: fails() if m.method == "uniform" else original(p, m, d)
    )
    record = run(plan("head", "uniform", seeds=[0]), tmp_path / "run")
    uniform = next(row for row in record.rows if row.method == "uniform")
    assert (uniform.failed, uniform.seeds, uniform.mean) == (1, 0, None)
    assert record.status == "done"
    assert record.comparisons == []


def test_routed_paths_are_recorded_predict_alone_what_they_did_and_fold_into_one_lora(tmp_path: Path) -> None:
    given = plan("budgeted", seeds=[0])
    given["space"] |= {"slots": ["attention.query", "mlp.up"], "kinds": given["space"]["kinds"][:1], "paths": 2}
    given["methods"][0]["combine"] = "softmax"
    given["budget"] = {"parameters": 30_000}
    record = run(given, tmp_path / "run")
    trial = tmp_path / "run/trials/budgeted-seed0"
    structure = contract.Structure.model_validate_json((trial / "structure.json").read_text())
    assert {candidate.path for candidate in structure.candidates} == {0, 1}
    # After six steps the shares have hardly moved, so that some site is mixed.
    assert any(candidate.weights for candidate in structure.candidates)
    assert [(export.to, export.max_difference < 1e-5) for export in record.exports] == [("peft", True)] * 2
    adapter = native.load(trial / "adapter")
    table = pq.read_table(trial / "predictions.parquet").to_pylist()
    outputs = adapter.outputs("snips", [(row["text"], None) for row in given["tasks"][0]["test"]])
    told = [row["outputs"] for row in table if row["task"] == "snips"]
    assert float((outputs - torch.tensor(told)).abs().max()) < 1e-4


def test_an_earlier_trials_structure_is_fitted_and_frozen(finished: Any, tmp_path: Path) -> None:
    directory, _, _ = finished
    earlier = json.loads((directory / "trials/budgeted-seed0/structure.json").read_text())
    given = plan("head", "from", seeds=[0])
    given["budget"] = {"parameters": 2 * earlier["parameters"]["union"]}
    given["methods"][1] |= {"structure": str(directory / "budgeted-seed0"), "mode": "freeze"}
    given["methods"][1]["search"] = {"method": "budgeted", **COMMON["budgeted"]}
    run(given, tmp_path / "run")
    later = json.loads((tmp_path / "run/trials/from-seed0/structure.json").read_text())
    kept = len(earlier["candidates"])
    assert [c["site"] for c in later["candidates"][:kept]] == [c["site"] for c in earlier["candidates"]]
    assert earlier["parameters"]["union"] < later["parameters"]["union"] <= given["budget"]["parameters"]
    gates = pq.read_table(tmp_path / "run/trials/from-seed0/gates.parquet").to_pylist()
    ids = {f"{c['site']}/{c['kind']}[{c['start']}:{c['start'] + c['size']}]" for c in earlier["candidates"]}
    assert not ids & {row["candidate"] for row in gates}


def test_wrong_input_is_refused_before_anything_trains(tmp_path: Path) -> None:
    good = plan("head", seeds=[0])
    nowhere: dict[str, Any] = {"method": "from", "name": "head", "structure": "/nowhere"}
    nowhere["search"] = {"method": "budgeted", **COMMON["budgeted"]}
    low = {**good["space"], "layers": [0, 1]}
    bad: list[tuple[str, Any]] = [
        ("budget.parameters", {"budget": {"parameters": 10}}),
        ("space.layers", {"space": {**good["space"], "layers": [9]}}),
        ("training.maxLength", {"training": {**good["training"], "maxLength": 600}}),
        ("neither a structure.json", {"methods": [nowhere]}),
        (
            r"methods\[0\]\.search\.layers: the space has no candidate in the last 1 layers",
            {"methods": [{**nowhere, "search": {**nowhere["search"], "layers": 1}}], "space": low},
        ),
        (
            r"methods\[0\]\.layers: the space has no candidate in the last 2 layers",
            {"methods": [{"method": "saliency", "name": "head", "layers": 2}], "space": low},
        ),
        ("training.device", {"training": {**good["training"], "device": "cuda"}}),
    ]
    for index, (field, change) in enumerate(bad):
        context = Listening()
        with pytest.raises(InputError, match=field) as caught:
            run({**copy.deepcopy(good), **change}, tmp_path / str(index), context)
        assert not (tmp_path / str(index) / "trials").exists()
        assert "<" not in str(caught.value.mend)


def test_inspect_lists_sites_shapes_and_costs() -> None:
    space = plan("head")["space"]
    found: Any = inspect({"backbone": {"source": "embedded", "name": "minilm"}, "space": space}, JobContext())
    assert (found["family"], found["layers"], found["hidden"], found["parameters"]) == ("bert", 6, 384, 22_713_216)
    down = next(site for site in found["sites"] if site["site"] == "layers.2.mlp.down")
    assert (down["in"], down["out"]) == (1536, 384)
    assert down["candidates"] == [
        {"kind": "lora", "start": 0, "size": 1, "parameters": 1920},
        {"kind": "lora", "start": 1, "size": 1, "parameters": 1920},
    ]
    # LoRA takes "attention" as its four linears, so every layer has those, mlp.down and one bottleneck.
    assert found["total"] == 6 * (4 * 2 * 768 + 2 * 1920 + 2 * 768)


def test_a_time_budget_is_kept_and_every_row_says_what_was_predicted_and_measured(tmp_path: Path) -> None:
    given = plan("uniform", "saliency", "head", seeds=[0], maxSteps=2)
    given["budget"] = {"stepTime": 0.8}
    record = run(given, tmp_path / "run")
    assert record.full_step_ms is not None
    uniform, saliency, head = (row for row in record.rows if row.task == "snips")
    for row in (uniform, saliency):
        assert row.step_ms.predicted is not None
        assert row.step_ms.measured is not None
        assert row.step_ms.predicted <= 0.8 * record.full_step_ms * (1 + 1e-9)
        assert row.memory_mi_b is not None
        assert row.memory_mi_b.predicted == pytest.approx(row.memory_mi_b.measured, rel=0.15)
        assert row.lowest_layer is not None
        assert row.parameters.union >= row.parameters.task > 0
    assert (head.step_ms.predicted, head.memory_mi_b) == (None, None)
    structure = contract.Structure.model_validate_json(
        (tmp_path / "run/trials/saliency-seed0/structure.json").read_text()
    )
    assert structure.budget is None
    assert (tmp_path / "run/costs.json").is_file()


def test_a_time_budget_that_nothing_keeps_is_refused_before_any_training(tmp_path: Path) -> None:
    given = plan("uniform", seeds=[0])
    given["budget"] = {"stepTime": 0.05}
    with pytest.raises(
        InputError, match=r"budget\.stepTime: 5% of a full step, .* is below the cheapest candidate"
    ) as e:
        run(given, tmp_path / "run")
    assert "Allow at least" in str(e.value.mend)


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ({"method": "eva", "name": "eva"}, "only kinds of the form .* have directions to be scored, .* has bitfit"),
        ({"method": "uniform", "name": "uniform", "kind": "lora"}, "uniform: no lora fits the budget"),
        (
            {"method": "race", "name": "race", "proposals": [{"method": "eva"}, {"method": "uniform"}]},
            "eva: only kinds",
        ),
    ],
)
def test_a_method_that_could_only_fail_is_refused_before_any_training(
    tmp_path: Path, method: dict[str, object], said: str
) -> None:
    given = plan("head", seeds=[0])
    # A bias of a query costs 384, a rank 768.
    given["space"] = {"slots": ["attention.query", "mlp.up"], "layers": None}
    given["space"]["kinds"] = [{"kind": "lora", "ranks": [1], "scale": 2.0}, {"kind": "bitfit"}]
    given["budget"] = {"parameters": 500 if "fits" in said else 800}
    given["methods"] = [*given["methods"], method]
    with pytest.raises(InputError, match=said):
        run(given, tmp_path / "run")
    assert not (tmp_path / "run" / "trials" / "head-seed0" / "result.json").exists()


def test_heads_that_mix_layers_are_trained_recorded_and_exported(tmp_path: Path) -> None:
    given = plan("uniform", "head", seeds=[0], headLayers="mixed")
    record = run_plan({"plan": given, "directory": str(tmp_path)}, JobContext())
    assert record["status"] == "done"
    for method in ("uniform", "head"):
        result = json.loads((tmp_path / "trials" / f"{method}-seed0" / "result.json").read_text())
        for score in result["tasks"].values():
            shares = score["layerShares"]
            assert len(shares) == 7
            assert sum(shares) == pytest.approx(1, abs=1e-5)
            assert max(shares) - min(shares) > 1e-4
    exports: Any = record["exports"]
    assert {entry["task"] for entry in exports} == {"snips", "qnli", None}
    assert all(entry["maxDifference"] < 1e-5 for entry in exports)
