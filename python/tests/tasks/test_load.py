"""Loading tasks from rows, files, the package and the Hub."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from espalier_runtime import contract
from espalier_runtime.errors import InputError
from espalier_runtime.tasks.load import load_task
from espalier_runtime.tasks.task import Example

SHARED = Path(__file__).parents[4] / "shared" / "data"
Rows = Sequence[dict[str, Any]]
TRAIN: Rows = [{"text": "good", "label": "yes"}, {"text": "bad", "label": "no"}]


def rows_task(train: Rows, evaluation: Rows, **settings: Any) -> contract.RowsTask:
    fields = {"name": "t", "kind": "classification", "metric": None, "source": "rows", "validation": None}
    return contract.RowsTask.model_validate({**fields, "train": train, "test": evaluation, **settings})


def files_task(folder: Path, train: Rows, **settings: Any) -> contract.FilesTask:
    path = folder / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in train))
    columns = {"text": "text", "textPair": "text_pair", "label": "label"}
    fields = {"name": "t", "kind": "classification", "metric": None, "source": "files", "test": None}
    return contract.FilesTask.model_validate(
        {**fields, "train": str(path), "validation": str(path), "columns": columns, **settings}
    )


def hub_task(identifier: str, **settings: Any) -> contract.HubTask:
    columns = {"text": "text", "textPair": "text_pair", "label": "label"}
    fields = {"name": "t", "kind": "classification", "metric": None, "source": "hub", "config": None}
    splits = {"revision": "main", "train": "train", "evaluation": "test", "columns": columns}
    return contract.HubTask.model_validate({**fields, **splits, "id": identifier, **settings})


def test_labels_become_indices_of_sorted_classes() -> None:
    task = load_task(rows_task(TRAIN, [{"text": "fine", "label": "yes"}]))
    assert task.labels == ("no", "yes")
    assert task.train == [Example("good", None, 1), Example("bad", None, 0)]
    assert task.evaluation == [Example("fine", None, 1)]
    assert (task.metric, task.pairs, task.evaluation_split, task.warnings) == ("accuracy", False, "test", ())


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["10", "9", "1"], ("1", "9", "10")),
        ([10, 9.0, 1], ("1", "9", "10")),
        ([True, False], ("false", "true")),
        (["b", "10", "9"], ("10", "9", "b")),
        ([0.5, -1], ("-1", "0.5")),
    ],
)
def test_classes_that_are_numbers_keep_numeric_order(labels: list[Any], classes: tuple[str, ...]) -> None:
    rows = [{"text": str(label), "label": label} for label in labels]
    assert load_task(rows_task(rows, [{"text": "x", "label": labels[0]}])).labels == classes


def test_test_is_read_before_validation_and_validation_where_there_is_no_test() -> None:
    validation = [{"text": "v", "label": "no"}]
    both = load_task(rows_task(TRAIN, [{"text": "t", "label": "yes"}], validation=validation))
    assert (both.evaluation_split, both.evaluation[0].text) == ("test", "t")
    one = load_task(rows_task(TRAIN, [], test=None, validation=validation))
    assert (one.evaluation_split, one.evaluation[0].text) == ("validation", "v")
    with pytest.raises(InputError, match=r"tasks\.t has neither test nor validation"):
        load_task(rows_task(TRAIN, [], test=None))


def test_a_regression_keeps_its_values() -> None:
    rows = [{"text": "a", "label": 1}, {"text": "b", "label": "2.5"}]
    task = load_task(rows_task(rows, [{"text": "c", "label": 7}], kind="regression"))
    assert [example.label for example in [*task.train, *task.evaluation]] == [1.0, 2.5, 7.0]
    assert (task.labels, task.metric) == ((), "pearson")


def test_rows_shared_by_train_and_evaluation_are_counted_in_a_warning() -> None:
    evaluation = [{"text": "good", "label": "no"}, {"text": "bad", "label": "no"}, {"text": "new", "label": "no"}]
    (warning,) = load_task(rows_task(TRAIN, evaluation)).warnings
    assert warning.startswith('task "t": 2 of the 3 test rows are also in train')


def test_pairs_are_shared_only_where_both_texts_are_equal() -> None:
    train = [{"text": "a", "text_pair": "b", "label": 0}, {"text": "a", "text_pair": "c", "label": 1}]
    task = load_task(rows_task(train, [{"text": "a", "text_pair": "d", "label": 1}]))
    assert (task.pairs, task.warnings) == (True, ())


def test_the_fingerprint_follows_the_content_and_nothing_else(tmp_path: Path) -> None:
    evaluation = [{"text": "fine", "label": "yes"}]
    first = load_task(rows_task(TRAIN, evaluation)).fingerprint
    assert load_task(rows_task(TRAIN, evaluation, name="other")).fingerprint == first
    assert load_task(rows_task(TRAIN, [{"text": "fine", "label": "no"}])).fingerprint != first
    assert load_task(rows_task(TRAIN[::-1], evaluation)).fingerprint != first
    from_files = files_task(tmp_path, TRAIN)
    assert load_task(from_files).fingerprint == load_task(rows_task(TRAIN, TRAIN)).fingerprint


def test_other_column_names_are_read(tmp_path: Path) -> None:
    rows = [{"q": "a", "s": "b", "gold": 0, "text": "-"}, {"q": "c", "s": "d", "gold": 1, "text": "-"}]
    task = load_task(files_task(tmp_path, rows, columns={"text": "q", "textPair": "s", "label": "gold"}))
    assert task.train == [Example("a", "b", 0), Example("c", "d", 1)]


@pytest.mark.parametrize(
    ("train", "message", "mend"),
    [
        ([{"txt": "a", "label": 0}], 'line 1 has no "text"; its fields are "txt", "label"', 'columns: { text: "txt"'),
        ([*TRAIN, {"text": "a"}], 'line 3 has no "label"; its fields are "text"', "Rename the field"),
        ([*TRAIN, {"text": "a", "label": None}], 'line 3 has an empty "label"', 'Fill in the "label"'),
        ([*TRAIN, {"text": None, "label": "no"}], 'line 3 has an empty "text"', 'Fill in the "text"'),
        ([*TRAIN, {"text": 5, "label": "no"}], 'line 3: "text" is 5, but must be a string', "Correct"),
        ([*TRAIN, {"text": "a", "label": [1]}], r'line 3: "label" is \[1\], but must be a string, a number', "Correct"),
        ([*TRAIN, {"text": "a", "text_pair": 1, "label": "no"}], '"text_pair" is 1, but must be a string', "Correct"),
        ([*TRAIN, {"text": "a", "label": float("nan")}], "line 3 has the label nan, which is no class", "Correct"),
        ([TRAIN[0]] * 3, 'all 3 training rows, from .* line 1 on, have the label "yes"', "other classes"),
        (
            [*TRAIN, {"text": "a", "text_pair": "b", "label": "no"}],
            "line 1 is a single text, but .* line 3 is a pair",
            "",
        ),
    ],
)
def test_a_bad_row_is_an_error_that_names_its_line(tmp_path: Path, train: Rows, message: str, mend: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_task(files_task(tmp_path, train))
    assert f'tasks.t.train: "{tmp_path / "train.jsonl"}" line' in str(caught.value)
    assert mend in str(caught.value.mend)


def test_a_second_column_that_is_named_must_exist(tmp_path: Path) -> None:
    columns = {"text": "text", "textPair": "lable", "label": "label"}
    with pytest.raises(InputError, match='has no "lable"') as caught:
        load_task(files_task(tmp_path, TRAIN, columns=columns))
    assert 'columns: { textPair: "label" }' in str(caught.value.mend)


def test_an_evaluation_label_that_train_lacks_is_an_error() -> None:
    with pytest.raises(InputError, match=r't\.test row 1 has the label "maybe", .* training has "no", "yes"'):
        load_task(rows_task(TRAIN, [{"text": "x", "label": "maybe"}]))


def test_singles_in_train_and_pairs_in_evaluation_are_an_error() -> None:
    with pytest.raises(InputError, match=r"t\.train row 1 is a single text, but tasks\.t\.test row 1 is a pair"):
        load_task(rows_task(TRAIN, [{"text": "x", "text_pair": "y", "label": "yes"}]))


@pytest.mark.parametrize(
    ("label", "given"), [("high", '"high"'), (True, "true"), (float("inf"), "inf"), ("nan", '"nan"')]
)
def test_a_regression_label_must_be_a_finite_number(label: Any, given: str) -> None:
    rows = [{"text": "a", "label": 1}, {"text": "b", "label": label}]
    with pytest.raises(InputError, match=f"row 2 has the label {given}, but a regression needs a finite number"):
        load_task(rows_task(rows, rows, kind="regression"))


def test_a_regression_needs_two_values() -> None:
    rows = [{"text": "a", "label": 2}, {"text": "b", "label": 2}]
    with pytest.raises(InputError, match=r"all 2 training rows, .* have the label 2,"):
        load_task(rows_task(rows, rows, kind="regression"))


def test_the_embedded_tasks_have_1000_and_500_rows_that_do_not_overlap() -> None:
    common = {"kind": "classification", "metric": None, "source": "embedded"}
    snips = load_task(contract.EmbeddedTask.model_validate({"name": "snips", "id": "snips", **common}))
    qnli = load_task(contract.EmbeddedTask.model_validate({"name": "qnli", "id": "qnli", **common}))
    assert (snips.evaluation_split, qnli.evaluation_split) == ("test", "validation")
    assert (len(snips.labels), snips.pairs) == (7, False)
    assert (qnli.labels, qnli.pairs) == (("entailment", "not_entailment"), True)
    for task in (snips, qnli):
        assert (len(task.train), len(task.evaluation), task.warnings) == (1000, 500, ())


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the data sets of ../shared/data, which are not shipped")
def test_every_shared_data_set_loads_with_the_rows_of_its_index() -> None:
    index = json.loads((SHARED / "index.json").read_text())
    for name, facts in index.items():
        paths = {split: str(SHARED / name / f"{split}.jsonl") for split in facts["splits"]}
        columns = {"text": "text", "textPair": "text_pair", "label": "label"}
        fields = {
            "name": name,
            "kind": facts["kind"],
            "metric": None,
            "source": "files",
            "test": None,
            "columns": columns,
        }
        task = load_task(contract.FilesTask.model_validate({**fields, **paths}))
        assert task.evaluation_split == ("test" if "test" in paths else "validation")
        assert len(task.train) == facts["splits"]["train"]["rows"]
        assert len(task.evaluation) == facts["splits"][task.evaluation_split]["rows"]
        assert len(task.labels) == (len(facts["labels"]) if task.kind == "classification" else 0)


def test_hub_class_numbers_become_class_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    for split, labels in (("train", [1, 0]), ("test", [0, 1]), ("hidden", [-1, -1])):
        data = datasets.Dataset.from_dict({"text": [f"{split} a", f"{split} b"], "label": labels}, features=features)
        data.to_parquet(str(tmp_path / f"{split}.parquet"))
    files = [{"split": split, "path": f"{split}.parquet"} for split in ("train", "test", "hidden")]
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n- config_name: default\n  data_files: {files}\n---\n")
    task = load_task(hub_task(str(tmp_path)))
    assert task.labels == ("neg", "pos")
    assert task.train == [Example("train a", None, 1), Example("train b", None, 0)]
    with pytest.raises(InputError, match="hidden row 1 has no label"):
        load_task(hub_task(str(tmp_path), evaluation="hidden"))
    with pytest.raises(InputError, match='the split "dev" of'):
        load_task(hub_task(str(tmp_path), evaluation="dev"))


def test_a_hub_name_without_network_is_an_error_that_names_cache_and_files() -> None:
    import datasets

    with pytest.raises(InputError, match=r'"nobody/nothing" .* could not be loaded') as caught:
        load_task(hub_task("nobody/nothing"))
    assert str(datasets.config.HF_DATASETS_CACHE) in str(caught.value)
    assert "task.files" in str(caught.value.mend)
