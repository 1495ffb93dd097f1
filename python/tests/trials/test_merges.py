"""Merges of runs whose adapters have random weights: what is written says what the summed updates say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from planted import EXAMPLES, TASKS, planted

from espalier_runtime import contract
from espalier_runtime.backbone.load import Backbone, weights_fingerprint
from espalier_runtime.errors import EspalierError, InputError
from espalier_runtime.export import native
from espalier_runtime.export.load import load
from espalier_runtime.export.peft_lora import task_loras
from espalier_runtime.records.directory import RunDirectory
from espalier_runtime.trials import merges as module
from espalier_runtime.trials.merge_sources import Given
from espalier_runtime.trials.merges import MergeSpec, merge_runs


def given(root: Path, backbone: Backbone, *kinds: str, seed: int = 5) -> Given:
    plan, directory = planted(root, backbone, *(kinds or ("lora",)), seed=seed)
    return Given(plan, directory)


def updates(run: Given, task: str, backbone: Backbone) -> dict[str, torch.Tensor]:
    """Delta W of each linear that the task adapts."""
    adapter = native.load(run.directory.trial("uniform-seed0").adapter, backbone)
    return {site.module: site.scale * site.up @ site.down for site in task_loras(adapter, task)}


def merged_updates(folder: str) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    weights = load_file(Path(folder) / "adapter_model.safetensors")
    names = [name.removesuffix(".lora_A.weight") for name in weights if name.endswith("lora_A.weight")]
    return {
        name.removeprefix("base_model.model."): weights[f"{name}.lora_B.weight"] @ weights[f"{name}.lora_A.weight"]
        for name in names
    }


@pytest.mark.fresh
def test_a_merge_is_reloaded_by_peft_and_says_the_same_in_a_fresh_process(tmp_path: Path, minilm: Backbone) -> None:
    runs = [given(tmp_path / "one", minilm), given(tmp_path / "two", minilm, seed=6)]
    made = merge_runs(runs, MergeSpec("arithmetic"), backbone=minilm)
    assert made.max_difference < 1e-5
    assert [(row.name, Path(row.run).name) for row in made.tasks] == [
        ("intent-1", "one"),
        ("score-1", "one"),
        ("intent-2", "two"),
        ("score-2", "two"),
    ]
    assert weights_fingerprint(minilm.model) == minilm.fingerprint


def test_arithmetic_adds_the_updates_of_the_tasks(tmp_path: Path, minilm: Backbone) -> None:
    run = given(tmp_path / "run", minilm)
    made = merge_runs([run], MergeSpec("arithmetic", weight=0.3), backbone=minilm)
    first, second = (updates(run, task, minilm) for task in TASKS)
    found = merged_updates(made.path)
    assert set(found) == set(first) | set(second)
    for module_path, delta in found.items():
        wanted = 0.3 * sum(part[module_path] for part in (first, second) if module_path in part)
        torch.testing.assert_close(delta, wanted, rtol=0, atol=1e-6)
    assert merge_runs([run], MergeSpec("arithmetic"), backbone=minilm).weight == 0.5
    assert merge_runs([run], MergeSpec("ties"), backbone=minilm).weight == 1.0


@pytest.mark.parametrize("method", ["mda", "arithmetic", "ties"])
def test_each_task_predicts_with_its_own_head_on_the_merged_adapter(
    method: Any, tmp_path: Path, minilm: Backbone
) -> None:
    run = given(tmp_path / "run", minilm)
    made = merge_runs([run], MergeSpec(method), destination=tmp_path / "taken", backbone=minilm)
    assert Path(made.path) == tmp_path / "taken" / f"merge-{method}"
    texts = [text for text, _ in EXAMPLES["intent"]]
    assert set(load(made.path, "intent").predict(texts)) <= {"music", "weather", "list"}
    values = load(made.path, "score").predict(texts)
    assert all(isinstance(value, float) for value in values)
    with pytest.raises(InputError, match='no head of a task "other"') as caught:
        load(made.path, "other")
    assert caught.value.mend == "Use one of: intent, score."
    assert json.loads((Path(made.path) / "merge.json").read_text())["method"] == method


def test_a_task_merged_with_a_copy_of_itself_is_itself(tmp_path: Path, minilm: Backbone) -> None:
    runs = [given(tmp_path / name, minilm) for name in ("one", "two")]
    for spec in (MergeSpec("arithmetic"), MergeSpec("ties", density=1.0)):
        made = merge_runs(runs, spec, tasks=["intent"], backbone=minilm)
        alone = native.load(runs[0].directory.trial("uniform-seed0").adapter, minilm)
        texts = EXAMPLES["intent"]
        torch.testing.assert_close(
            load(made.path, "intent-1").outputs(texts), alone.outputs("intent", texts), rtol=0, atol=1e-4
        )


def test_the_rank_of_a_merge_can_be_bounded_and_what_is_lost_is_told(tmp_path: Path, minilm: Backbone) -> None:
    run = given(tmp_path / "run", minilm)
    whole = merge_runs([run], MergeSpec("ties"), backbone=minilm)
    small = merge_runs([run], MergeSpec("ties", rank=1), backbone=minilm)
    assert small.parameters < whole.parameters
    assert small.kept < whole.kept < 1
    exact = merge_runs([run], MergeSpec("arithmetic"), backbone=minilm)
    assert exact.kept == pytest.approx(1)


def test_tasks_whose_rows_cannot_be_read_are_merged_and_not_scored(tmp_path: Path, minilm: Backbone) -> None:
    run = given(tmp_path / "run", minilm)
    made = merge_runs([run], MergeSpec("arithmetic"), backbone=minilm)
    assert [(row.merged, row.own, "/nowhere/train.jsonl" in str(row.unread)) for row in made.tasks] == [
        (None, None, True)
    ] * 2


def test_a_task_is_scored_by_its_head_on_the_merged_adapter(tmp_path: Path, minilm: Backbone) -> None:
    run = given(tmp_path / "run", minilm)
    labels = ("music", "weather", "list")
    rows = list(zip(EXAMPLES["intent"], labels, strict=True))
    for split in ("train", "test"):
        lines = [json.dumps({"text": text, "label": label}) for (text, _), label in rows]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))
    files = {"train": str(tmp_path / "train.jsonl"), "test": str(tmp_path / "test.jsonl")}
    plan = run.plan.model_dump(by_alias=True)
    plan["tasks"][0] |= files
    made = merge_runs([Given(contract.Plan.model_validate(plan), run.directory)], MergeSpec("mda"), backbone=minilm)
    # Classes are in alphabetical order, as loading gives them; the planted head has another.
    assert "its classes are no longer those" in str(made.tasks[0].unread)
    card = run.directory.trial("uniform-seed0").adapter / "adapter.json"
    card.write_text(card.read_text().replace('["music","weather","list"]', '["list","music","weather"]'))
    made = merge_runs([Given(contract.Plan.model_validate(plan), run.directory)], MergeSpec("mda"), backbone=minilm)
    said = load(made.path, "intent").predict([text for text, _ in EXAMPLES["intent"]])
    row = made.tasks[0]
    assert row.split == "test"
    assert row.merged == sum(a == b for a, b in zip(said, labels, strict=True)) / 3


def test_what_cannot_be_merged_says_why(tmp_path: Path, minilm: Backbone) -> None:
    run = given(tmp_path / "run", minilm)
    with pytest.raises(InputError, match='one adapter only \\("intent" of run/uniform-seed0\\)'):
        merge_runs([run, run], MergeSpec("mda"), tasks=["intent"], backbone=minilm)
    with pytest.raises(InputError, match='"other" is a task of none') as caught:
        merge_runs([run], MergeSpec("mda"), tasks=["other"], backbone=minilm)
    assert caught.value.mend == "Use some of: intent, score."
    bottleneck = given(tmp_path / "none", minilm, "bottleneck")
    with pytest.raises(InputError, match='"intent" in none/uniform-seed0 holds no LoRA.*but bottleneck'):
        merge_runs([bottleneck], MergeSpec("mda"), backbone=minilm)
    with pytest.raises(InputError, match="trial uniform-seed1 is not finished"):
        merge_runs([Given(run.plan, run.directory, "uniform-seed1")], MergeSpec("mda"), backbone=minilm)
    quantised = run.plan.model_copy(update={"backbone": run.plan.backbone.model_copy(update={"quantization": "4bit"})})
    with pytest.raises(InputError, match='backbone.quantization: "4bit"'):
        merge_runs([Given(quantised, run.directory)], MergeSpec("mda"), backbone=minilm)
    other = given(tmp_path / "other", minilm)
    card = other.directory.trial("uniform-seed0").adapter / "adapter.json"
    card.write_text(card.read_text().replace(minilm.fingerprint, "0" * 64))
    with pytest.raises(InputError, match="other adapts minilm .*, run minilm .* different backbones"):
        merge_runs([run, other], MergeSpec("mda"), backbone=minilm)


def test_a_weight_beyond_all_bounds_and_an_output_that_cannot_be_written_are_named(
    tmp_path: Path, minilm: Backbone
) -> None:
    run = given(tmp_path / "run", minilm)
    with pytest.raises(InputError, match=r"weight: 1e\+30 makes a model whose outputs are not finite") as caught:
        merge_runs([run], MergeSpec("arithmetic", weight=1e30), backbone=minilm)
    assert "--weight" in str(caught.value.mend)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="output: .*file: no folder can be made there") as caught:
        merge_runs([run], MergeSpec("arithmetic"), destination=tmp_path / "file", backbone=minilm)
    assert "--output" in str(caught.value.mend)


def test_kinds_beside_lora_are_left_out_and_named(tmp_path: Path, minilm: Backbone) -> None:
    made = merge_runs([given(tmp_path / "run", minilm, "lora", "bottleneck")], MergeSpec("mda"), backbone=minilm)
    assert [row.left_out for row in made.tasks] == [["bottleneck"], ["bottleneck"]]


def test_a_merge_that_differs_is_refused_and_leaves_nothing_behind(
    tmp_path: Path, minilm: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = given(tmp_path / "run", minilm)
    monkeypatch.setattr(module, "TOLERANCE", 0.0)
    with pytest.raises(EspalierError, match="the reloaded adapter differs by"):
        merge_runs([run], MergeSpec("mda"), backbone=minilm)
    assert list(RunDirectory(tmp_path / "run").exports.iterdir()) == []
