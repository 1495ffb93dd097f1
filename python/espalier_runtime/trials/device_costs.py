"""The costs of an experiment's structures on this device: measured once, then read from where they are kept.

They are kept beside the run, so that a resumed run decides as it began, and in Espalier's home under a hash of all that
they depend on, so that the next run need not measure.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError

from espalier_runtime import contract
from espalier_runtime.records.device import device_name
from espalier_runtime.records.files import write_json
from espalier_runtime.records.home import espalier_home
from espalier_runtime.records.json import dumps
from espalier_runtime.structure.measured import StepMemory, StepTimes
from espalier_runtime.structure.stated import Costs
from espalier_runtime.training.execution import execution_of
from espalier_runtime.trials.calibrate import Workload, measure_times
from espalier_runtime.trials.step_memory import measure_memory

#: Counts up when what is measured, or how, changes.
VERSION = 1


@dataclass(frozen=True)
class Measured:
    """Times on the batch of median size, memory on the largest part of any batch."""

    version: int
    times: StepTimes
    memory: StepMemory


def device_costs(work: Workload, space: contract.Space, beside: Path | None) -> Costs:
    """The costs over `work`; `space` is the stated one, and `beside` a file of the run that keeps them."""
    kept = espalier_home() / "costs" / f"{_key(work, space)}.json"
    places = [kept] if beside is None else [beside, kept]
    held = {place: _read(place) for place in places}
    found = next((measured for measured in held.values() if measured is not None), None)
    if found is None:
        found = Measured(VERSION, measure_times(work, work.typical_batch), measure_memory(work, work.largest_part))
    for place, measured in held.items():
        if measured is None:
            place.parent.mkdir(parents=True, exist_ok=True)
            write_json(place, asdict(found))
    everything = work.space.candidates
    training = work.training
    still = training.head_layers == "last" and not training.backbone_dropout
    cached = training.speed.cache.enabled and still and work.backbone.form.starts
    times = replace(found.times, cached=cached)
    return Costs(times, found.memory, times.price(everything).of(range(len(everything))))


def _key(work: Workload, space: contract.Space) -> str:
    device = work.backbone.device
    lengths = work.corpus.lengths
    depends = {
        "version": VERSION,
        "backbone": work.backbone.fingerprint,
        "batch": sorted(lengths[row] for row in work.typical_batch),
        "largest": sorted(lengths[row] for row in work.largest_part),
        "parts": work.training.max_tokens,
        "heads": [head.size for _, head in work.heads],
        "headLayers": work.training.head_layers,
        "space": space.model_dump(by_alias=True),
        "device": device_name(device),
        "pooling": work.training.pooling,
        "packed": work.corpus.packed,
        "execution": repr(execution_of(work.training, device)),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    return hashlib.sha256(dumps(depends).encode()).hexdigest()[:32]


def _read(file: Path) -> Measured | None:
    """What the file holds; None where it is absent, torn, or of another version."""
    try:
        measured = TypeAdapter(Measured).validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None
    return measured if measured.version == VERSION else None
