"""Exports of a run whose adapters have random weights: what is written says what the run's own adapter says."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from planted import EXAMPLES, TASKS, planted

from espalier_runtime import contract
from espalier_runtime.backbone.load import Backbone, weights_fingerprint
from espalier_runtime.errors import EspalierError, InputError
from espalier_runtime.export import fresh, native
from espalier_runtime.export.load import load
from espalier_runtime.export.merged import fold, write_merged
from espalier_runtime.records.directory import RunDirectory
from espalier_runtime.records.files import write_json
from espalier_runtime.trials import exports as module
from espalier_runtime.trials.exports import Format, add_to_record, export_trial
from espalier_runtime.trials.result import failed_result


@pytest.fixture
def lora_run(tmp_path: Path, minilm: Backbone) -> tuple[contract.Plan, RunDirectory]:
    return planted(tmp_path / "run", minilm, "lora")


def test_every_format_predicts_what_the_run_predicts_head_included(
    lora_run: tuple[contract.Plan, RunDirectory], minilm: Backbone
) -> None:
    given, directory = lora_run
    source = native.load(directory.trial("uniform-seed0").adapter, minilm)
    formats: list[Format] = ["peft", "merged", "native"]
    for to in formats:
        made = export_trial(given, directory, to, backbone=minilm)
        assert [entry.task for entry in made] == ["intent", "score", *([None] if to == "peft" else [])]
        for entry in made:
            assert entry.max_difference < 1e-5, entry
            assert entry.trial == "uniform-seed0"
    for to in formats:
        intent, score = (load(directory.exports / f"{task}-{to}", task) for task in TASKS)
        texts = [text for text, _ in EXAMPLES["intent"]]
        assert intent.predict(texts) == source.predict("intent", texts)
        firsts, seconds = zip(*EXAMPLES["score"], strict=True)
        assert score.predict(firsts, seconds) == pytest.approx(source.predict("score", firsts, seconds), abs=1e-5)


def test_onnx_runs_in_onnxruntime_with_the_outputs_of_pytorch(tmp_path: Path, minilm: Backbone) -> None:
    given, directory = planted(tmp_path / "run", minilm, "lora", "bottleneck", "tokenGate")
    (made,) = export_trial(given, directory, "onnx", task="intent", backbone=minilm)
    assert made.max_difference < 1e-4
    folder = Path(made.path)
    assert {"model.onnx", "head.json", "tokenizer.json"} <= {path.name for path in folder.iterdir()}
    source = native.load(directory.trial("uniform-seed0").adapter, minilm)
    # Other row counts and lengths than those it was traced with.
    for texts in (["play"], ["play some jazz", "rain", "a b c d e f g h i j k l m n o p", "x", "y"]):
        assert load(folder).predict(texts) == source.predict("intent", texts)


def test_the_tokeniser_beside_an_onnx_model_cuts_texts_as_training_did(tmp_path: Path, minilm: Backbone) -> None:
    from tokenizers import Tokenizer

    given, directory = planted(tmp_path / "run", minilm, "lora")
    (made,) = export_trial(given, directory, "onnx", task="intent", backbone=minilm)
    alone = Tokenizer.from_file(str(Path(made.path) / "tokenizer.json"))
    source = native.load(directory.trial("uniform-seed0").adapter, minilm)
    text = "word " * 1000
    assert len(alone.encode(text).ids) == source.card.max_length
    # The backbone's own is as it was.
    assert minilm.tokenizer.backend_tokenizer.truncation is None or len(minilm.tokenizer(text).input_ids) > 1000
    assert load(made.path).predict([text]) == source.predict("intent", [text])


def test_every_format_holds_what_is_a_tasks_own(tmp_path: Path, minilm: Backbone) -> None:
    given, directory = planted(tmp_path / "run", minilm, "dualLora", "generated")
    formats: list[Format] = ["peft", "merged", "native", "onnx"]
    for to in formats:
        for made in export_trial(given, directory, to, task="score", backbone=minilm):
            assert made.max_difference < (1e-4 if to == "onnx" else 1e-5), made
            assert made.left_out == []
    source = native.load(directory.trial("uniform-seed0").adapter, minilm)
    gates = source.gates("intent")
    intent, score = (source.states(task, EXAMPLES["score"], gates) for task in TASKS)
    assert float((intent - score).abs().max()) > 1e-2


@pytest.mark.parametrize("unit", [1e-3, 1e5])
def test_exports_of_a_regression_are_compared_in_its_own_unit(tmp_path: Path, minilm: Backbone, unit: float) -> None:
    given, directory = planted(tmp_path / "run", minilm, "lora", unit=unit)
    formats: list[Format] = ["peft", "merged", "native", "onnx"]
    for to in formats:
        (made,) = export_trial(given, directory, to, task="score", backbone=minilm)
        assert made.max_difference < (1e-4 if to == "onnx" else 1e-5), made


def test_a_union_has_no_place_for_what_is_a_tasks_own(tmp_path: Path, minilm: Backbone) -> None:
    given, directory = planted(tmp_path / "run", minilm, "lora", "dualLora")
    made = export_trial(given, directory, "peft", backbone=minilm)
    assert [(entry.task, entry.left_out) for entry in made] == [("intent", []), ("score", []), (None, ["dualLora"])]
    assert all(entry.max_difference < 1e-5 for entry in made)


def test_heads_that_mix_layers_are_held_by_every_format_but_onnx_which_says_so(
    tmp_path: Path, minilm: Backbone
) -> None:
    given, directory = planted(tmp_path / "run", minilm, "lora", mixes=True)
    formats: list[Format] = ["peft", "merged", "native"]
    for to in formats:
        for made in export_trial(given, directory, to, backbone=minilm):
            assert made.max_difference < 1e-5, made
    with pytest.raises(InputError, match="onnx does not hold heads that mix layers"):
        export_trial(given, directory, "onnx", backbone=minilm)
    assert "every layer's hidden states" in (directory.exports / "intent-peft" / "README.md").read_text()
    # Each task's own mix is read, and none is the last layer alone.
    source = native.load(directory.trial("uniform-seed0").adapter, minilm)
    gates = source.gates("intent")
    texts = EXAMPLES["intent"]
    intent, score, last = (source.states(task, texts, gates) for task in (*TASKS, None))
    assert float((intent - score).abs().max()) > 1e-2
    assert float((intent - last).abs().max()) > 1e-2


@pytest.mark.fresh
def test_a_fresh_process_reloads_each_export(
    lora_run: tuple[contract.Plan, RunDirectory], minilm: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, directory = lora_run
    adapter = native.load(directory.trial("uniform-seed0").adapter, minilm)
    write_merged(adapter, "score", tmp_path)
    texts = EXAMPLES["score"]
    outputs = adapter.outputs("score", texts)
    same, other = (fresh.Written(str(tmp_path), "score", texts, given) for given in (outputs, outputs + 3))
    here = torch.device("cpu")
    assert fresh.differences([same, other], here) == [pytest.approx(0, abs=1e-5), pytest.approx(3, abs=1e-5)]
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(EspalierError, match="could not be reloaded in a fresh process: exit code 1"):
        fresh.differences([same], here)


def test_an_export_that_differs_is_refused_and_leaves_nothing_behind(
    lora_run: tuple[contract.Plan, RunDirectory], minilm: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, directory = lora_run
    monkeypatch.setattr(module, "TOLERANCE", 0.0)
    with pytest.raises(EspalierError, match="the reloaded peft export of intent differs by"):
        export_trial(given, directory, "peft", backbone=minilm)
    assert list(directory.exports.iterdir()) == []


def test_the_union_holds_the_candidates_of_every_task(
    lora_run: tuple[contract.Plan, RunDirectory], minilm: Backbone
) -> None:
    from safetensors.torch import load_file

    given, directory = lora_run
    export_trial(given, directory, "peft", backbone=minilm)
    counts = {
        name: sum(
            value.numel() for value in load_file(directory.exports / f"{name}-peft/adapter_model.safetensors").values()
        )
        for name in (*TASKS, "union")
    }
    structure = native.load(directory.trial("uniform-seed0").adapter, minilm).structure
    assert counts == {
        "intent": structure.parameters("intent"),
        "score": structure.parameters("score"),
        "union": structure.union,
    }
    assert counts["score"] < counts["union"]


def test_folding_gives_w_plus_s_b_a_and_leaves_the_backbone_as_it_was(
    lora_run: tuple[contract.Plan, RunDirectory], minilm: Backbone
) -> None:
    given, directory = lora_run
    adapter = native.load(directory.trial("uniform-seed0").adapter, minilm)
    linears = fold(adapter, "intent")
    for group in adapter.model.pool.members():
        linear: Any = minilm.model.get_submodule(group.site.module)
        weight, bias = linears[group.site.module]
        wanted = linear.weight.double() + 2.0 * group.up.double() @ group.down.double()
        torch.testing.assert_close(weight, wanted, rtol=0, atol=1e-13)
        torch.testing.assert_close(bias, linear.bias.double(), rtol=0, atol=1e-13)
    export_trial(given, directory, "merged", backbone=minilm)
    assert weights_fingerprint(minilm.model) == minilm.fingerprint


def test_ia3_is_exported_as_pefts_ia3(tmp_path: Path, minilm: Backbone) -> None:
    given, directory = planted(tmp_path / "run", minilm, "ia3")
    made = export_trial(given, directory, "auto", backbone=minilm)
    assert [(entry.task, entry.to, entry.left_out) for entry in made] == [
        ("intent", "peft", []),
        ("score", "peft", []),
        (None, "peft", []),
    ]
    assert all(entry.max_difference < 1e-5 for entry in made)
    config = json.loads((Path(made[0].path) / "adapter_config.json").read_text())
    assert (config["peft_type"], sorted(config["feedforward_modules"])) == (
        "IA3",
        ["encoder.layer.1.output.dense", "encoder.layer.4.output.dense"],
    )


def test_lora_beside_ia3_is_refused_by_peft_with_what_holds_both(tmp_path: Path, minilm: Backbone) -> None:
    given, directory = planted(tmp_path / "run", minilm, "lora", "ia3")
    with pytest.raises(InputError, match='the structure of "intent" holds lora, ia3') as caught:
        export_trial(given, directory, "peft", backbone=minilm)
    assert all(to in str(caught.value.mend) for to in ("--to merged", "--to native", "--to onnx"))
    made = export_trial(given, directory, "merged", backbone=minilm)
    assert all(entry.max_difference < 1e-5 for entry in made)
    assert [entry.to for entry in export_trial(given, directory, "auto", backbone=minilm)] == ["native", "native"]


def test_a_tuned_norm_is_folded_into_its_weight_and_bias(tmp_path: Path, minilm: Backbone) -> None:
    given, directory = planted(tmp_path / "run", minilm, "lora", "normTuning")
    adapter = native.load(directory.trial("uniform-seed0").adapter, minilm)
    weights = fold(adapter, "intent")
    tuned = [group for group in adapter.model.pool.members() if group.kind.name == "normTuning"]
    assert len(tuned) == 2
    for group in tuned:
        norm: Any = minilm.model.get_submodule(group.site.module)
        weight, bias = weights[group.site.module]
        scale, shift = 1 + group.scale[0].double(), group.shift[0].double()
        torch.testing.assert_close(weight, norm.weight.double() * scale, rtol=0, atol=1e-13)
        torch.testing.assert_close(bias, norm.bias.double() * scale + shift, rtol=0, atol=1e-13)
    (made,) = export_trial(given, directory, "merged", task="intent", backbone=minilm)
    assert made.max_difference < 1e-5
    assert weights_fingerprint(minilm.model) == minilm.fingerprint


def test_what_cannot_be_folded_is_named_with_its_kind_and_sites(tmp_path: Path, minilm: Backbone) -> None:
    given, directory = planted(tmp_path / "run", minilm, "lora", "bottleneck")
    with pytest.raises(InputError, match="cannot be folded .*: bottleneck at layers.1.mlp, layers.4.mlp") as caught:
        export_trial(given, directory, "merged", task="intent", backbone=minilm)
    assert "--to native" in str(caught.value.mend)


def test_peft_says_which_kinds_it_leaves_out(tmp_path: Path, minilm: Backbone) -> None:
    given, directory = planted(tmp_path / "run", minilm, "lora", "bottleneck")
    (made,) = export_trial(given, directory, "peft", task="intent", backbone=minilm)
    assert (made.left_out, made.max_difference < 1e-5) == (["bottleneck"], True)


def test_a_trial_is_chosen_by_its_id(lora_run: tuple[contract.Plan, RunDirectory], minilm: Backbone) -> None:
    given, directory = lora_run
    (made,) = export_trial(given, directory, "native", task="score", trial="uniform-seed0", backbone=minilm)
    assert made.path == str(directory.exports / "uniform-seed0" / "score-native")
    with pytest.raises(InputError, match="trial uniform-seed1 is not finished"):
        export_trial(given, directory, "native", trial="uniform-seed1", backbone=minilm)
    with pytest.raises(InputError, match='"other" is not a trial of this run'):
        export_trial(given, directory, "native", trial="other", backbone=minilm)


def test_a_trial_that_failed_says_why_and_an_adapter_that_is_not_finite_where(tmp_path: Path, minilm: Backbone) -> None:
    from safetensors.torch import load_file, save_file

    given, directory = planted(tmp_path / "run", minilm, "lora")
    failed = directory.trial("uniform-seed1").result
    failed.parent.mkdir(parents=True, exist_ok=True)
    one = next(entry for entry in given.trials if entry.id == "uniform-seed1")
    write_json(failed, failed_result(one, "the loss is nan").model_dump(by_alias=True))
    with pytest.raises(InputError, match="uniform-seed1 failed, so there is nothing to export: the loss is nan"):
        export_trial(given, directory, "native", trial="uniform-seed1", backbone=minilm)
    file = directory.trial("uniform-seed0").adapter / "adapter.safetensors"
    weights = load_file(file)
    name = next(name for name in weights if name.endswith(".up"))
    weights[name][0, 0] = float("nan")
    save_file(weights, file)
    with pytest.raises(InputError, match=f"not finite, at {re.escape(name)}"):
        export_trial(given, directory, "peft", backbone=minilm)


def test_onnx_without_its_packages_names_them(
    lora_run: tuple[contract.Plan, RunDirectory], minilm: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    given, directory = lora_run
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxscript" else found(name))
    with pytest.raises(InputError, match="lacks: onnxscript") as caught:
        export_trial(given, directory, "onnx", task="score", backbone=minilm)
    assert "pip install onnx onnxscript onnxruntime" in str(caught.value.mend)


def test_an_export_is_entered_in_the_run_s_record_once(
    lora_run: tuple[contract.Plan, RunDirectory], minilm: Backbone
) -> None:
    given, directory = lora_run
    made = export_trial(given, directory, "native", task="score", backbone=minilm)
    add_to_record(directory, made)
    assert not directory.record.exists()
    record = {
        "version": 1,
        "run": str(directory.root),
        "status": "done",
        "rows": [],
        "comparisons": [],
        "fullStepMs": None,
        "seconds": 1.0,
        "exports": [],
        "warnings": [],
    }
    write_json(directory.record, record)
    add_to_record(directory, made)
    add_to_record(directory, made)
    (entry,) = json.loads(directory.record.read_text())["exports"]
    assert (entry["task"], entry["to"], entry["maxDifference"]) == ("score", "native", made[0].max_difference)
