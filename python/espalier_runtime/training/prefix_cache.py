"""What the frozen layers below the lowest adapter give, computed once and kept on the disk.

While nothing below layer k is trained, the states h_k that enter it are a function of the row's tokens and the backbone
alone: every epoch, seed and trial that starts at layer k shares them, and so do later runs. Likewise the pooled states
of the unadapted backbone, from which heads start.

An entry is a folder under Espalier's home, named by the hash of all it depends on: the rows' tokens, the backbone's
weights and config, the layer, the type of the numbers, the versions of PyTorch and transformers. It holds the rows'
states one after the other, (tokens, hidden), and a card that describes them. Entries are written under another name
first, checked by size and CRC-32 when they are opened, made again where they are damaged, and taken away, the least
recently used first, where they would exceed the bound. Rows that do not fit it are computed whenever they are needed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from torch import Tensor

from espalier_runtime.backbone.heads import Pooling, pool
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.records.files import write_json
from espalier_runtime.records.home import espalier_home, made_once
from espalier_runtime.tasks.corpus import Corpus

#: Counts up when entries of before can no longer be read, or hold something else.
VERSION = 1
NumberType = Literal["float32", "bfloat16", "float16"]
TYPES: dict[NumberType, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
#: Tokens that go through the backbone at once while an entry is made: fixed, so that its bytes are.
TOKENS = 8192
#: Tokens of each row, and the width of what is kept of a token.
Shape = tuple[Sequence[int], int]


@dataclass(frozen=True)
class Held:
    """The first rows of a corpus, of these `lengths`, with their states one after the other, (tokens, width)."""

    states: Tensor
    lengths: tuple[int, ...]

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *accumulate(self.lengths)]

    def __contains__(self, row: int) -> bool:
        return row < len(self.lengths)

    def of(self, row: int) -> Tensor:
        """(length, hidden) of one row, as it is kept."""
        return self.states[self._starts[row] : self._starts[row + 1]]


class PrefixCache:
    """The states of one backbone, kept in `folder` up to `max_bytes` of all entries together."""

    def __init__(self, backbone: Backbone, max_bytes: int, number_type: NumberType, folder: Path | None = None) -> None:
        self.backbone, self.max_bytes, self.number_type = backbone, max_bytes, number_type
        self.folder = folder or cache_folder()
        self._open: dict[str, Held] = {}

    def entering(self, corpus: Corpus, layer: int) -> Callable[[Sequence[int]], list[Tensor]]:
        """A function from rows of `corpus` to the states (length, hidden) that enter `layer`, one for each."""

        def compute(rows: Sequence[int]) -> list[Tensor]:
            inputs = corpus.batch(rows).inputs
            return inputs.layout.rows(self.backbone.entering(inputs, layer))

        width = int(self._config.hidden_size)
        held = self._held(corpus, f"layer {layer}", (corpus.lengths, width), compute)

        def states(rows: Sequence[int]) -> list[Tensor]:
            missing = [row for row in rows if row not in held]
            computed = dict(zip(missing, compute(missing), strict=True)) if missing else {}
            device = self.backbone.device
            return [
                computed[row] if row in computed else held.of(row).to(device=device, dtype=torch.float32)
                for row in rows
            ]

        return states

    def features(self, corpus: Corpus, pooling: Pooling) -> Tensor:
        """The pooled states of the unadapted backbone, (rows, hidden)."""

        @torch.no_grad()
        def compute(rows: Sequence[int]) -> list[Tensor]:
            inputs = corpus.batch(rows).inputs
            return list(pool(self.backbone.states(inputs), inputs.layout, pooling).unsqueeze(1))

        shape = ([1] * len(corpus), self.backbone.hidden)
        held = self._held(corpus, f"{pooling} of the last layer", shape, compute)
        features = torch.empty(len(corpus), self.backbone.hidden, device=self.backbone.device)
        features[: len(held.lengths)] = held.states.to(features.device, torch.float32)
        for part in corpus.parts(range(len(held.lengths), len(corpus)), TOKENS):
            features[part] = torch.cat(compute(part))
        return features

    def _held(
        self,
        corpus: Corpus,
        place: str,
        shape: Shape,
        compute: Callable[[Sequence[int]], list[Tensor]],
    ) -> Held:
        key = self._key(corpus, place)
        if key not in self._open:
            self._open[key] = self._read(key, shape) or self._make(key, corpus, place, shape, compute)
        return self._open[key]

    @property
    def _config(self) -> Any:
        return self.backbone.model.config

    def _key(self, corpus: Corpus, place: str) -> str:
        backbone = self.backbone
        digest = hashlib.sha256(
            f"{VERSION} {torch.__version__} {transformers.__version__} {backbone.fingerprint} {_settings(self._config)}"
            f" {backbone.device.type} {place} {self.number_type} {corpus.packed}".encode()
        )
        digest.update(corpus.content.encode())
        return digest.hexdigest()[:32]

    def _read(self, key: str, shape: Shape) -> Held | None:
        """The entry, None where there is none; one that is damaged is taken away."""
        entry = self.folder / key
        if not entry.is_dir():
            return None
        try:
            card = json.loads((entry / "entry.json").read_text())
            held = tuple(shape[0][: card["rows"]])
            size = (sum(held), shape[1])
            states = entry / "states.bin"
            if states.stat().st_size != size[0] * size[1] * _bytes_of(self.number_type):
                raise ValueError("the file has another size")
            if _checksum(states) != card["crc32"]:
                raise ValueError("the checksum differs")
        except (OSError, ValueError, KeyError):
            remove_entry(entry)
            return None
        os.utime(entry)
        return Held(_mapped(states, size, TYPES[self.number_type], writable=False), held)

    def _make(
        self,
        key: str,
        corpus: Corpus,
        place: str,
        shape: Shape,
        compute: Callable[[Sequence[int]], list[Tensor]],
    ) -> Held:
        lengths, width = shape
        a_token = width * _bytes_of(self.number_type)
        self.folder.mkdir(parents=True, exist_ok=True)
        room = min(self.max_bytes, int(0.9 * shutil.disk_usage(self.folder).free))
        held = tuple(length for length, end in zip(lengths, accumulate(lengths), strict=True) if end * a_token <= room)
        if not held:
            return Held(torch.empty(0, width), ())
        make_room(self.folder, self.max_bytes - sum(held) * a_token)

        def write(temporary: Path) -> None:
            size = (sum(held), width)
            states = _mapped(temporary / "states.bin", size, TYPES[self.number_type], writable=True)
            starts = [0, *accumulate(held)]
            for part in corpus.parts(range(len(held)), TOKENS):
                for row, found in zip(part, compute(part), strict=True):
                    states[starts[row] : starts[row + 1]] = found
            del states
            card = {
                "version": VERSION,
                "backbone": self.backbone.reference,
                "tasks": list(corpus.task_names),
                "place": place,
                "type": self.number_type,
                "rows": len(held),
                "tokens": sum(held),
                "width": width,
                "crc32": _checksum(temporary / "states.bin"),
            }
            write_json(temporary / "entry.json", card)

        made_once(self.folder / key, write)
        return self._read(key, shape) or self._make(key, corpus, place, shape, compute)


def cache_folder() -> Path:
    """Where entries are kept."""
    return espalier_home() / "prefixes"


def entries(folder: Path) -> list[Path]:
    """The entries in `folder`, the least recently used first."""
    if not folder.is_dir():
        return []
    found = [entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    return sorted(found, key=lambda entry: (_used(entry), entry.name))


def make_room(folder: Path, most: int) -> None:
    """Takes entries away, the least recently used first, until the rest have at most `most` bytes."""
    kept = entries(folder)
    total = sum(map(_size, kept))
    for entry in kept:
        if total <= most:
            return
        total -= _size(entry)
        remove_entry(entry)


def remove_entry(entry: Path) -> None:
    """Takes an entry away at once for every other process; one that has it open keeps what it has."""
    aside = entry.with_name(f".{entry.name}.{os.getpid()}.old")
    try:
        entry.rename(aside)
    except FileNotFoundError:
        return
    shutil.rmtree(aside, ignore_errors=True)


def _settings(config: Any) -> str:
    """What a model's config says of its computation: an activation, an epsilon, a window are no weights."""
    said = config.to_dict()
    return json.dumps({name: said[name] for name in sorted(said) if name != "_name_or_path"}, default=str)


def _used(entry: Path) -> float:
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _size(entry: Path) -> int:
    try:
        return sum(file.stat().st_size for file in entry.iterdir())
    except FileNotFoundError:
        return 0


def _bytes_of(number_type: NumberType) -> int:
    return TYPES[number_type].itemsize


def _mapped(path: Path, size: tuple[int, int], dtype: torch.dtype, *, writable: bool) -> Tensor:
    """The file as a tensor whose pages are read, or written, as they are used."""
    count = size[0] * size[1]
    if writable:
        with path.open("wb") as file:
            file.truncate(count * dtype.itemsize)
    return torch.from_file(str(path), shared=writable, size=count, dtype=dtype).view(size)


def _checksum(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 24):
            crc = zlib.crc32(piece, crc)
    return crc
