"""SmolLM2-135M itself learns to classify and to write on the CPU, and is the same after a reload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from conftest import needs_smollm2
from trials.test_run import plan, run
from trials.test_writers import rows_task

from espalier_runtime import contract
from espalier_runtime.export.load import load
from espalier_runtime.records.directory import RunDirectory
from espalier_runtime.trials.exports import export_trial

ASKED = {
    "person": ["Who wrote Hamlet?", "Who painted this?", "Which king had six wives?"],
    "place": ["Where is the Nile?", "Where do owls nest?", "In which country is Fez?"],
}
QUESTIONS = [{"text": text, "label": label} for label, texts in ASKED.items() for text in texts]
#: Unadapted, the model answers in sentences.
VERBS = [
    {"prompt": f"Past tense of the verb: {verb}", "completion": f"{verb}ed"}
    for verb in ("walk", "talk", "jump", "play", "open", "call")
]


def of_smollm2() -> dict[str, Any]:
    given = plan("saliency", seeds=[0], epochs=10, maxSteps=None, batchSize=4, maxLength=64, pooling="last")
    given["backbone"] = {"source": "embedded", "name": "smollm2"}
    given["tasks"] = [
        rows_task("asks-for", "classification", QUESTIONS),
        rows_task("past-tense", "generation", VERBS, maxNewTokens=4),
    ]
    given["space"] = {
        "slots": ["attention.query", "attention.value", "mlp.down"],
        "layers": [27, 28, 29],
        "kinds": [{"kind": "lora", "ranks": [2, 4], "scale": 2.0}],
    }
    given["budget"] = {"parameters": 30_000}
    return given


@needs_smollm2
def test_smollm2_learns_to_classify_and_to_write_and_writes_the_same_after_a_reload(tmp_path: Path) -> None:
    given = of_smollm2()
    record = run(given, tmp_path / "run")
    scores = {row.task: float(row.mean) for row in record.rows}
    assert scores["asks-for"] == 1.0
    assert scores["past-tense"] >= 0.5
    parsed = contract.Plan.model_validate(given)
    (made,) = export_trial(
        parsed, RunDirectory(tmp_path / "run"), "peft", task="past-tense", destination=tmp_path / "adapter"
    )
    assert made.max_difference < 1e-4
    written = load(made.path, "past-tense").predict([row["prompt"] for row in VERBS])
    right = sum(text == row["completion"] for text, row in zip(written, VERBS, strict=True))
    assert right / len(VERBS) == scores["past-tense"]
