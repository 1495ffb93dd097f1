from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from espalier_runtime.training.checkpoint import Checkpoint, RandomState, TrialCheckpoint


class Part:
    """Holds whatever it is given."""

    def __init__(self, held: dict[str, Any]) -> None:
        self.held = held

    def state_dict(self) -> dict[str, Any]:
        return self.held

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.held = state


def written(path: Path, held: dict[str, Any], key: str = "key") -> None:
    checkpoint = Checkpoint(path, key)
    assert not checkpoint.begin({"part": Part(held)})
    checkpoint.write()


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    buffer = torch.arange(6, dtype=torch.float32)
    held = {
        "views": [buffer[:2], buffer[2:]],
        "types": {"half": torch.ones(2, dtype=torch.bfloat16), "bytes": torch.tensor([1, 255], dtype=torch.uint8)},
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(0.1, dtype=torch.float64),
        "numbers": {0: 0.1 + 0.2, 1: 3, 2: None, 3: "word", 4: True},
        "infinite": float("inf"),
    }
    written(tmp_path / "fit.safetensors", held)
    part = Part({})
    assert Checkpoint(tmp_path / "fit.safetensors", "key").begin({"part": part})
    assert part.held["numbers"] == held["numbers"]
    assert float(part.held["infinite"]) == float("inf")
    pairs = [
        *zip(held["views"], part.held["views"], strict=True),
        *((held["types"][name], part.held["types"][name]) for name in held["types"]),
        (held["empty"], part.held["empty"]),
        (held["scalar"], part.held["scalar"]),
    ]
    for was, now in pairs:
        assert was.dtype == now.dtype
        assert torch.equal(was, now)


def test_an_optimiser_goes_on_from_its_state_bit_for_bit(tmp_path: Path) -> None:
    def steps(optimiser: torch.optim.Optimizer, weight: torch.Tensor, first: int, last: int) -> None:
        for step in range(first, last):
            weight.grad = torch.sin(torch.arange(5.0) + step)
            optimiser.step()

    whole = torch.zeros(5, requires_grad=True)
    steps(torch.optim.AdamW([whole]), whole, 0, 6)
    first, second = torch.zeros(5, requires_grad=True), torch.zeros(5, requires_grad=True)
    before, after = torch.optim.AdamW([first]), torch.optim.AdamW([second])
    steps(before, first, 0, 3)
    checkpoint = Checkpoint(tmp_path / "a.safetensors")
    checkpoint.begin({"optimiser": before})
    checkpoint.write()
    second.data.copy_(first.data)
    Checkpoint(tmp_path / "a.safetensors").begin({"optimiser": after})
    steps(after, second, 3, 6)
    assert torch.equal(second, whole)


def test_random_numbers_go_on_where_they_were(tmp_path: Path) -> None:
    random = RandomState(torch.device("cpu"))
    torch.manual_seed(3)
    checkpoint = Checkpoint(tmp_path / "a.safetensors")
    checkpoint.begin({"random": random})
    checkpoint.write()
    expected = torch.rand(4)
    Checkpoint(tmp_path / "a.safetensors").begin({"random": random})
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize("fault", ["torn", "another plan"])
def test_a_checkpoint_that_does_not_serve_is_said_and_left_aside(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "fit.safetensors"
    written(path, {"weight": torch.ones(3)}, key="key" if fault == "torn" else "other")
    if fault == "torn":
        path.write_bytes(path.read_bytes()[:-5])
    warnings: list[str] = []
    part = Part({"fresh": 1})
    assert not Checkpoint(path, "key", warn=warnings.append).begin({"part": part})
    assert part.held == {"fresh": 1}
    assert len(warnings) == 1
    assert "fit starts anew" in warnings[0]


def test_it_is_written_after_each_step_or_when_its_seconds_have_passed(tmp_path: Path) -> None:
    for seconds, there in ((0.0, True), (1000.0, False)):
        path = tmp_path / f"{seconds}.safetensors"
        checkpoint = Checkpoint(path, seconds=seconds)
        checkpoint.begin({"part": Part({})})
        checkpoint.step_done()
        assert path.exists() == there


def test_the_seconds_of_a_stage_are_those_of_all_its_loops(tmp_path: Path) -> None:
    trial = TrialCheckpoint(tmp_path / "checkpoint", "key", 60.0, lambda text: None)
    for loop in ("search/1", "search/2", "fit"):
        trial.of(loop).begin({})
        trial.of(loop).write()
    again = TrialCheckpoint(tmp_path / "checkpoint", "key", 60.0, lambda text: None)
    loops = [again.of(loop) for loop in ("search/1", "search/2", "fit")]
    assert all(loop.begin({}) for loop in loops)
    assert again.seconds_before("search") == loops[0].seconds_before + loops[1].seconds_before > 0
    assert again.seconds_before("evaluate") == 0
    again.clear()
    assert not (tmp_path / "checkpoint").exists()
