"""Exports reloaded in a fresh process, which shares nothing but the files with the one that wrote them.

python -m espalier_runtime.export.fresh REQUEST ANSWER      safetensors in, JSON out
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

import espalier_runtime
from espalier_runtime.errors import EspalierError
from espalier_runtime.export.load import load
from espalier_runtime.export.texts import Texts


@dataclass(frozen=True)
class Written:
    """An export in `folder`, and what the model it came from says to `texts`.

    `unit`: of what size outputs are, so that those of a regression in euros differ by no more than those in thousands.
    """

    folder: str
    task: str | None
    texts: Texts
    outputs: Tensor
    unit: float = 1.0


def differences(written: Sequence[Written], device: torch.device) -> list[float]:
    """max |outputs reloaded - outputs given| / unit of each export, in one fresh process for all of them.

    Raises EspalierError with the last line that the process said where it fails.
    """
    from safetensors.torch import save_file

    with tempfile.TemporaryDirectory(prefix="espalier-export-") as name:
        request, answer = Path(name) / "request", Path(name) / "answer.json"
        save_file(
            {str(number): entry.outputs.cpu().contiguous() for number, entry in enumerate(written)},
            request,
            metadata={
                "exports": json.dumps([asdict(entry) | {"outputs": None} for entry in written]),
                "device": str(device),
            },
        )
        start(request, answer)
        return [float(value) for value in json.loads(answer.read_text())]


def start(request: Path, answer: Path) -> None:
    """Runs `reload` in a process of its own."""
    package = str(Path(espalier_runtime.__file__).parent.parent)
    path = os.pathsep.join(part for part in (package, os.environ.get("PYTHONPATH")) if part)
    ended = subprocess.run(
        [sys.executable, "-m", "espalier_runtime.export.fresh", str(request), str(answer)],
        env=os.environ | {"PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        said = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
        raise EspalierError(f"export: what was written could not be reloaded in a fresh process: {said[-1]}")


def reload(request: Path, answer: Path) -> None:
    """What the fresh process does: loads each export that `request` names, compares, and writes the differences."""
    from safetensors import safe_open

    with safe_open(request, framework="pt") as file:
        metadata = file.metadata()
        device = torch.device(metadata["device"])
        found = []
        for number, entry in enumerate(json.loads(metadata["exports"])):
            texts = [(text, pair) for text, pair in entry["texts"]]
            outputs = load(entry["folder"], entry["task"], device).outputs(texts).cpu()
            found.append(float((outputs - file.get_tensor(str(number))).abs().max()) / entry["unit"])
    # JSON has no NaN: a difference that is none reaches the reader as text, and float() reads it.
    answer.write_text(json.dumps([str(value) for value in found]))


if __name__ == "__main__":
    reload(Path(sys.argv[1]), Path(sys.argv[2]))
