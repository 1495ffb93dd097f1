"""Checkpoints: what a training loop needs in order to go on as if it had never stopped.

One file a loop, trials/<id>/checkpoint/<loop>.safetensors: the tensors of every part's state, and all else of it as
JSON in the file's metadata, so that one rename replaces both together. Nothing is pickled. A trial that continues runs
its code from the start, and each loop takes up the state that it had saved; what lies between the loops (hardening,
evaluation) follows from that state and is computed again.

A part is anything with PyTorch's `state_dict` and `load_state_dict`. Its state may nest mappings, lists, tensors,
numbers, words and None; a number that is not finite comes back as a word that `float` reads.
"""

from __future__ import annotations

import json
import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from espalier_runtime.records.files import write_atomic
from espalier_runtime.records.json import dumps

VERSION = 1

Warn = Callable[[str], None]


class Stateful(Protocol):
    """A part of a loop that changes while it trains: model, optimiser, gates, position in the data."""

    def state_dict(self) -> dict[str, Any]:
        """All that decides how the part goes on."""

    def load_state_dict(self, state: dict[str, Any], /) -> object:
        """Becomes what `state_dict` described; tensors come on the CPU."""


class TrialCheckpoint:
    """The checkpoints of a trial's loops, in one folder."""

    def __init__(self, folder: Path, key: str, seconds: float, warn: Warn) -> None:
        """`key` says what is trained: a file of another key is left aside. `seconds` lie between two writes."""
        self.warn = warn
        self._folder, self._key, self._seconds = folder, key, seconds
        self._loops: dict[str, Checkpoint] = {}

    def of(self, loop: str) -> Checkpoint:
        """The checkpoint of the loop with this name, "search", "fit", or a stage's several: "search/1", "search/2"."""
        made = Checkpoint(self._folder / f"{loop}.safetensors", self._key, self._seconds, self.warn)
        self._loops[loop] = made
        return made

    def seconds_before(self, stage: str) -> float:
        """Seconds that the loops of a stage had taken before this process."""
        mine = (made for loop, made in self._loops.items() if loop.split("/")[0] == stage)
        return sum(made.seconds_before for made in mine)

    def clear(self) -> None:
        """Takes the folder away: the trial is whole."""
        shutil.rmtree(self._folder, ignore_errors=True)


class Checkpoint:
    """The saved state of one loop. Without a path it keeps nothing."""

    def __init__(
        self, path: Path | None = None, key: str = "", seconds: float = 60.0, warn: Warn = warnings.warn
    ) -> None:
        self.seconds_before = 0.0
        self.warn = warn
        self._path, self._key, self._every = path, key, seconds
        self._parts: Mapping[str, Stateful] = {}
        self._began = self._written = time.monotonic()

    def begin(self, parts: Mapping[str, Stateful]) -> bool:
        """Puts `parts` into the saved state if there is one, and says whether there was."""
        self._parts = parts
        self._began = self._written = time.monotonic()
        found = self._read()
        if found is None:
            return False
        self.seconds_before = float(found["seconds"])
        for name, part in parts.items():
            part.load_state_dict(found["parts"][name])
        return True

    def step_done(self) -> None:
        """To be called where all parts stand between two steps: writes if it is time to."""
        if time.monotonic() - self._written >= self._every:
            self.write()

    def write(self) -> None:
        """Replaces the file by the parts' present state."""
        if self._path is None:
            return
        from safetensors.torch import save_file

        now = time.monotonic()
        tensors: dict[str, Tensor] = {}
        states = {name: part.state_dict() for name, part in self._parts.items()}
        parts = _pack(states, "", tensors)
        state = {"version": VERSION, "key": self._key, "seconds": self.seconds_before + now - self._began}
        metadata = {"state": dumps({**state, "parts": parts})}
        write_atomic(self._path, lambda temporary: save_file(tensors, temporary, metadata=metadata))
        self._written = time.monotonic()

    def _read(self) -> dict[str, Any] | None:
        if self._path is None or not self._path.exists():
            return None
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._path, framework="pt") as file:
                state: dict[str, Any] = json.loads(file.metadata()["state"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            self.warn(f"{self._path}: this checkpoint cannot be read ({error}), so {self._path.stem} starts anew")
            return None
        if state.get("version") != VERSION or state.get("key") != self._key:
            self.warn(f"{self._path}: this checkpoint is of another plan or version, so {self._path.stem} starts anew")
            return None
        parts = _unpack(state["parts"], tensors)
        return {"seconds": state["seconds"], "parts": parts}


class RandomState:
    """PyTorch's global generators. Whatever else draws at random owns a generator and saves it with its own state."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def state_dict(self) -> dict[str, Any]:
        on_device = torch.cuda.get_rng_state(self._device) if self._device.type == "cuda" else None
        return {"cpu": torch.get_rng_state(), "device": on_device}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        torch.set_rng_state(state["cpu"])
        if state["device"] is not None and self._device.type == "cuda":
            torch.cuda.set_rng_state(state["device"], self._device)


def _pack(value: object, name: str, tensors: dict[str, Tensor]) -> object:
    """`value` as JSON can hold it; each tensor goes to `tensors`, and {"tensor": name} stands for it."""
    if isinstance(value, Tensor):
        # A copy: safetensors takes no tensors that share memory.
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return {"tensor": name}
    if isinstance(value, Mapping):
        # As pairs, since an optimiser's keys are numbers.
        return {"map": [[key, _pack(entry, f"{name}/{key}", tensors)] for key, entry in value.items()]}
    if isinstance(value, list | tuple):
        return [_pack(entry, f"{name}/{index}", tensors) for index, entry in enumerate(value)]
    return value


def _unpack(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpack(entry, tensors) for entry in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]]
    return {key: _unpack(entry, tensors) for key, entry in value["map"]}
