"""PEFT's IA3, read from what is written, says what the adapters say: also where slots share a projection."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conftest import states, tiny

from espalier_runtime import contract
from espalier_runtime.export.native import LoadedAdapter
from espalier_runtime.export.peft_ia3 import write_ia3
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import build_space
from espalier_runtime.structure.structure import Structure
from espalier_runtime.training.model import AdaptedModel


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "phi3"])
@pytest.mark.filterwarnings("ignore:fan_in_fan_out")
def test_peft_reads_what_was_written(family: str, tmp_path: Path) -> None:
    from peft import PeftModel

    backbone = tiny(family)
    spec = {"slots": ["attention", "mlp"], "layers": None, "kinds": [{"kind": "ia3"}], "paths": 2}
    space = build_space(contract.Space.model_validate(spec), backbone.sites)
    # The second path is shared by two: its share goes into the vector.
    row = tuple(1.0 if candidate.path == 0 else 0.5 for candidate in space.candidates)
    structure = Structure("m", ("task",), None, space.candidates, (row,), (row,))
    pool = AdapterPool(space.candidates, space.kinds, 0)
    for weight in pool.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    card: Any = SimpleNamespace(backbone=contract.FolderBackbone(source="folder", path="."))
    adapter = LoadedAdapter(card, backbone, structure, AdaptedModel(backbone, pool, [], "mean"))
    with torch.no_grad(), pool.attached(backbone.model):
        plain = states(backbone)
        pool.use(torch.tensor([row]).expand(3, -1))
        ours = states(backbone)
    gates = torch.tensor([row])
    object.__setattr__(adapter, "gates", lambda task: gates)
    write_ia3(adapter, None, tmp_path)
    PeftModel.from_pretrained(backbone.model, str(tmp_path)).eval()
    with torch.no_grad():
        theirs = states(backbone)
    assert not torch.allclose(ours, plain, atol=1e-3)
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)
