"""A run that is killed or stopped anywhere, and continued, is the uninterrupted run bit for bit."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

HERE = Path(__file__).parent
WORDS = [f"word{index}" for index in range(60)]
KILLS = 20
CHAINS = 4


def backbone(folder: Path) -> Path:
    """A random BERT of two layers with a tokeniser of sixty words."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(0)
    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    BertModel(BertConfig(vocab_size=len(vocabulary), **size)).save_pretrained(folder)
    return folder


def rows(seed: int, count: int) -> list[dict[str, str]]:
    """Rows of three to eight words; the class is set by the first."""
    draw = random.Random(seed)
    texts = [[draw.randrange(len(WORDS)) for _ in range(draw.randint(3, 8))] for _ in range(count)]
    return [{"text": " ".join(WORDS[w] for w in words), "label": ["even", "odd"][words[0] % 2]} for words in texts]


def plan(model: Path) -> dict[str, Any]:
    """Searches that train by gates of every form, and the baselines with a state of their own, over two tasks.

    One kind draws random numbers in training, and rows are held out for early stopping.
    """
    searched = {"fit": "retrain", "epochs": None, "gateLearningRate": 0.05, "taskGateLearningRate": 0.005}
    methods = [
        {"method": "budgeted", **searched, "temperature": [1, 0.25], "budgetReached": 0.6, "noise": True},
        {"method": "paper", **searched, "fit": "continue", "sparsity": 1.0, "level": "bilevel"},
        {"method": "importance", "smoothing": 0.85, "warmup": 0.1, "budgetReached": 0.6},
        {"method": "sora"},
        {"method": "adaLora"},
        {"method": "adapterFusion", "size": 2, "attention": 4},
    ]
    task = {"kind": "classification", "metric": None, "source": "rows", "validation": None}
    return {
        "version": 1,
        "name": "killed",
        "backbone": {"source": "folder", "path": str(model), "trustRemoteCode": False},
        "tasks": [
            {"name": f"task{index}", **task, "train": rows(index, 40), "test": rows(9 + index, 12)} for index in (0, 1)
        ],
        "space": {
            "slots": ["attention.query", "mlp.up"],
            "layers": None,
            "kinds": [{"kind": "lora", "ranks": [1, 2], "scale": 2.0}, {"kind": "stochGrasp", "groups": [4]}],
        },
        "budget": {"parameters": 300},
        "methods": [{**method, "name": method["method"]} for method in methods],
        "training": {
            "epochs": 2,
            "maxSteps": None,
            "batchSize": 16,
            "maxTokens": 100,
            "learningRate": 0.01,
            "schedule": "linear",
            "warmup": 0.1,
            "weightDecay": 0.01,
            "gradientClip": 1,
            "maxLength": 16,
            "pooling": "mean",
            "headInit": "probe",
            "earlyStopping": {"fraction": 0.2, "patience": 1},
            "checkpointSeconds": 0,
            "device": "cpu",
            "threads": 1,
        },
        "seeds": [0],
        "trials": [
            {"id": f"{method['method']}-seed0", "method": method["method"], "draw": 0, "seed": 0} for method in methods
        ],
    }


class Runs:
    """Runs one plan in many directories."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan = plan(backbone(folder / "model"))
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent.parent), "OMP_NUM_THREADS": "1"}
        self._server = subprocess.Popen(
            [sys.executable, str(HERE / "killed_run.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def run(self, name: str, at: str | None = None, how: str = "kill") -> dict[str, Any]:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        (self.folder / name).mkdir(exist_ok=True)
        request = {"plan": self.plan, "directory": str(self.folder / name), "at": at, "how": how}
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        answer: dict[str, Any] = json.loads(self._server.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(timeout=60)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    made = Runs(tmp_path_factory.mktemp("killed"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def whole(runs: Runs) -> list[str]:
    """The points of the uninterrupted run."""
    answer = runs.run("whole")
    assert answer["status"] == "done"
    points: list[str] = answer["points"]
    return points


def untimed(value: Any) -> Any:
    """A record without what is measured by a clock or of memory, and without its own place."""
    measured = {"seconds", "totalSeconds", "stepMs", "fullStepMs", "peakMemoryMiB", "time", "run", "path"}
    if isinstance(value, dict):
        return {key: untimed(entry) for key, entry in value.items() if key not in measured}
    return [untimed(entry) for entry in value] if isinstance(value, list) else value


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def same(directory: Path, whole: Path) -> None:
    """Every file that the uninterrupted run left stands here too, and says the same."""
    files = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert sorted(path.relative_to(directory) for path in directory.rglob("*") if path.is_file()) == files
    for name in files:
        ours, theirs = directory / name, whole / name
        if name.name == "events.jsonl":
            continue
        if name.suffix == ".json":
            assert untimed(json.loads(ours.read_text())) == untimed(json.loads(theirs.read_text())), name
        elif name.name not in ("results.parquet", "README.md"):  # which hold times, and the folder's name
            assert ours.read_bytes() == theirs.read_bytes(), name
    for trial in (whole / "trials").iterdir():
        mine = lines(directory / "trials" / trial.name / "events.jsonl")
        assert untimed(mine) == untimed(lines(trial / "events.jsonl")), trial.name


def monotonic(events: list[dict[str, Any]]) -> None:
    """Events are numbered without a gap, and progress never goes back."""
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    done = [event["done"] for event in events if event["type"] == "progress"]
    assert done == sorted(done)


def test_a_run_stopped_at_twenty_random_points_is_the_uninterrupted_run_bit_for_bit(
    runs: Runs, whole: list[str]
) -> None:
    draw = random.Random(20)
    points = sorted(draw.sample(range(len(whole) - 1), KILLS))
    stopped = []
    for chain in range(CHAINS):
        for place in points[chain::CHAINS]:
            how = draw.choice(["kill", "kill", "cancel"])
            ended = runs.run(f"chain{chain}", whole[place], how)["status"]
            # After the last step of all nothing asks any more whether to stop.
            assert ended == "killed" if how == "kill" else ended in ("cancelled", "done"), whole[place]
            stopped.append(whole[place])
        assert runs.run(f"chain{chain}")["status"] == "done"
        same(runs.folder / f"chain{chain}", runs.folder / "whole")
        monotonic(lines(runs.folder / f"chain{chain}" / "events.jsonl"))
    for part in (" search ", " fit ", " evaluate ", "checkpoint", "gates.parquet", "flushed", "renamed"):
        assert any(part in point for point in stopped), part
