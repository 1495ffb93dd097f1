"""Runs of tasks that write and that choose, on a tiny decoder: what they learn, record and export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from trials.test_run import plan, run
from writers import load_writer, save_writer, tokenizer

from espalier_runtime import contract
from espalier_runtime.errors import InputError
from espalier_runtime.export import native
from espalier_runtime.export.load import load
from espalier_runtime.records.directory import RunDirectory
from espalier_runtime.trials.exports import export_trial
from espalier_runtime.trials.prepare import prepare
from espalier_runtime.trials.robustness import Wanted, measure

OPPOSITES = [("hot", "cold"), ("big", "small"), ("up", "down"), ("left", "right"), ("old", "new")]
BOTH = [*OPPOSITES, *((b, a) for a, b in OPPOSITES)]
PROMPTS = [{"prompt": f"the opposite of {a} is", "completion": b} for a, b in BOTH]
CHOICES = [
    {"text": f"the opposite of {a} is", "choices": [a, b] if place else [b, a], "label": place}
    for place in (0, 1)
    for a, b in BOTH
]
CLASSES = [{"text": a, "label": "yes" if place < len(OPPOSITES) else "no"} for place, (a, _) in enumerate(BOTH)]


def rows_task(name: str, kind: str, rows: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, "source": "rows", "train": rows, "test": rows, **fields}


def plan_of(folder: Path, *tasks: dict[str, Any], methods: tuple[str, ...] = ("uniform",), **training: Any) -> Any:
    given = plan(*methods, seeds=[0], maxSteps=None, maxLength=16, **training)
    given["backbone"] = {"source": "folder", "path": str(folder)}
    given["tasks"] = list(tasks)
    given["space"] = {
        "slots": ["attention.query", "attention.value", "attention.output", "mlp.up", "mlp.down"],
        "layers": None,
        "kinds": [{"kind": "lora", "ranks": [4, 8], "scale": 2.0}],
    }
    given["budget"] = {"parameters": 8000}
    return given


OF_OPPOSITES = rows_task("opposites", "generation", PROMPTS, maxNewTokens=3)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, RunDirectory, contract.RunRecord]:
    folder = save_writer(tmp_path_factory.mktemp("writer"))
    given = plan_of(
        folder,
        OF_OPPOSITES,
        rows_task("choice", "multipleChoice", CHOICES),
        rows_task("class", "classification", CLASSES),
        methods=("uniform", "head"),
        epochs=60,
        learningRate=0.03,
    )
    directory = tmp_path_factory.mktemp("runs") / "small"
    record = run(given, directory)
    return given, RunDirectory(directory), record


def test_a_decoder_learns_to_write_to_choose_and_to_classify_at_once(learned: Any) -> None:
    _, _, record = learned
    scores = {(row.method, row.task): (row.metric, float(row.mean)) for row in record.rows}
    assert scores["uniform", "opposites"] == ("exactMatch", 1.0)
    assert scores["uniform", "choice"] == ("accuracy", 1.0)
    assert scores["uniform", "class"] == ("accuracy", 1.0)
    assert scores["head", "opposites"][1] < 0.5  # the model as it is: a generation has no head to train


def test_predictions_hold_the_texts_beside_what_they_should_be(learned: Any) -> None:
    _, directory, _ = learned
    rows = pq.read_table(directory.trial("uniform-seed0").predictions).to_pylist()
    written = [row for row in rows if row["task"] == "opposites"]
    assert [row["text"] for row in written] == [row["reference"] for row in written] == [b for _, b in BOTH]
    assert {(row["label"], row["prediction"]) for row in written} == {(1.0, 1.0)}
    chosen = [row for row in rows if row["task"] == "choice"]
    assert {row["text"] for row in chosen} == {None}
    assert all(len(row["outputs"]) == 2 for row in chosen)


@pytest.mark.parametrize("to", ["peft", "merged", "native"])
def test_an_export_reloads_and_writes_the_same(learned: Any, tmp_path: Path, to: Any) -> None:
    given, directory, _ = learned
    parsed = contract.Plan.model_validate(given)
    (made,) = export_trial(parsed, directory, to, task="opposites", destination=tmp_path)
    assert made.max_difference < 1e-5
    texts = [row["prompt"] for row in PROMPTS]
    assert load(made.path, "opposites").predict(texts) == [b for _, b in BOTH]


def test_a_peft_export_is_a_causal_lm_adapter_that_peft_and_transformers_run_alone(
    learned: Any, tmp_path: Path
) -> None:
    from peft import AutoPeftModelForCausalLM

    given, directory, _ = learned
    (made,) = export_trial(
        contract.Plan.model_validate(given), directory, "peft", task="opposites", destination=tmp_path
    )
    config = json.loads((Path(made.path) / "adapter_config.json").read_text())
    assert config["task_type"] == "CAUSAL_LM"
    model, words = AutoPeftModelForCausalLM.from_pretrained(made.path).eval(), tokenizer()
    for row in PROMPTS:
        ids = torch.tensor([words(row["prompt"])["input_ids"]])
        out = model.generate(input_ids=ids, max_new_tokens=3, do_sample=False, eos_token_id=2, pad_token_id=0)
        assert words.decode(out[0, ids.shape[1] :], skip_special_tokens=True) == row["completion"]


def test_scores_of_candidates_survive_every_export(learned: Any, tmp_path: Path) -> None:
    given, directory, _ = learned
    for to in ("peft", "merged", "native"):
        (made,) = export_trial(
            contract.Plan.model_validate(given), directory, to, task="choice", destination=tmp_path / to
        )
        scores = load(made.path, "choice").predict(["the opposite of hot is"] * 2, ["hot", "cold"])
        assert scores[1] > scores[0]


def test_onnx_refuses_a_generation(learned: Any, tmp_path: Path) -> None:
    given, directory, _ = learned
    with pytest.raises(InputError, match='"opposites" is a generation') as caught:
        export_trial(contract.Plan.model_validate(given), directory, "onnx", task="opposites", destination=tmp_path)
    assert "--to peft" in str(caught.value.mend)


def test_a_saved_adapter_writes_what_the_trial_wrote(learned: Any) -> None:
    _, directory, _ = learned
    adapter = native.load(directory.trial("uniform-seed0").adapter)
    assert adapter.predict("opposites", [row["prompt"] for row in PROMPTS]) == [b for _, b in BOTH]


def test_an_encoder_cannot_write(tmp_path: Path) -> None:
    given = plan_of(tmp_path, OF_OPPOSITES)
    given["backbone"] = {"source": "embedded", "name": "minilm"}
    given["budget"] = {"parameters": 8000}
    with pytest.raises(InputError, match=r'kind: "generation" needs .* but minilm \(bert\) is an encoder'):
        prepare(contract.Plan.model_validate(given))


def test_a_decoder_without_its_head_cannot_write(tmp_path: Path) -> None:
    load_writer(save_writer(tmp_path)).model.save_pretrained(str(tmp_path))  # type: ignore[operator]
    with pytest.raises(InputError, match="saved without its language head"):
        prepare(contract.Plan.model_validate(plan_of(tmp_path, OF_OPPOSITES)))


def test_a_choice_may_be_made_by_a_head_that_mixes_layers(tmp_path: Path) -> None:
    given = plan_of(
        save_writer(tmp_path / "writer"),
        rows_task("choice", "multipleChoice", CHOICES),
        rows_task("class", "classification", CLASSES),
        headLayers="mixed",
        headInit="probe",
        epochs=10,
        learningRate=0.01,
    )
    record, directory = run(given, tmp_path / "run"), RunDirectory(tmp_path / "run")
    assert {row.task: float(row.mean) for row in record.rows} == {"choice": 1.0, "class": 1.0}
    result = json.loads(directory.trial("uniform-seed0").result.read_text())
    assert sum(result["tasks"]["choice"]["layerShares"]) == pytest.approx(1)
    for to in ("peft", "merged", "native"):
        (made,) = export_trial(
            contract.Plan.model_validate(given), directory, to, task="choice", destination=tmp_path / to
        )
        assert made.max_difference < 1e-5
        scores = load(made.path, "choice").predict(["the opposite of hot is"] * 2, ["hot", "cold"])
        assert scores[1] > scores[0]


def test_a_run_of_writers_has_a_robustness_card(learned: Any) -> None:
    given, directory, record = learned
    made = measure(
        prepare(contract.Plan.model_validate(given), directory.costs), directory, Wanted(ratios=(0.5,)), lambda *_: None
    )
    assert made.warnings == []  # what is measured without noise is what the trial recorded
    uniform = contract.TrialRobustness.model_validate_json(directory.trial("uniform-seed0").robustness.read_text())
    assert {name: float(entry.clean) for name, entry in uniform.tasks.items()} == {
        row.task: float(row.mean) for row in record.rows if row.method == "uniform"
    }
    scores = {name: float(at_half) for name, (at_half,) in uniform.tasks["opposites"].scores.items()}
    assert scores.keys() == {"input", "activation", "path", "weight"}
    # Half of the words, or of the adapters, are others: no answer can be known. Gaussian noise may be withstood.
    assert scores["input"] < 1
    assert scores["path"] < 1


def test_a_completion_must_leave_room_for_a_prompt(tmp_path: Path) -> None:
    given = plan_of(save_writer(tmp_path), rows_task("opposites", "generation", PROMPTS, maxNewTokens=16))
    with pytest.raises(InputError, match="opposites.maxNewTokens: 16 leaves no room"):
        prepare(contract.Plan.model_validate(given))
