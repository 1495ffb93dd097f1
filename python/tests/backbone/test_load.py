from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from conftest import inputs, padded, tiny

from espalier_runtime import contract
from espalier_runtime.backbone.load import Backbone, load_backbone, weights_fingerprint
from espalier_runtime.errors import InputError


def folder(path: Path) -> contract.FolderBackbone:
    return contract.FolderBackbone(source="folder", path=str(path), trust_remote_code=False)


def test_the_embedded_model_is_minilm_frozen(minilm: Backbone) -> None:
    assert (minilm.family, minilm.layers, minilm.hidden, minilm.parameters) == ("bert", 6, 384, 22_713_216)
    assert not any(weight.requires_grad for weight in minilm.model.parameters())
    assert not minilm.model.training


def test_a_saved_folder_loads_as_the_same_model(minilm: Backbone, tmp_path: Path) -> None:
    minilm.model.save_pretrained(tmp_path)  # type: ignore[operator]
    minilm.tokenizer.save_pretrained(tmp_path)
    loaded = load_backbone(folder(tmp_path))
    assert loaded.fingerprint == minilm.fingerprint
    ids, mask = inputs()
    with torch.no_grad():
        assert torch.equal(loaded.states(padded(ids, mask)), minilm.states(padded(ids, mask)))


def test_a_fingerprint_sees_one_changed_weight() -> None:
    backbone = tiny("bert")
    before = weights_fingerprint(backbone.model)
    with torch.no_grad():
        next(backbone.model.parameters()).view(-1)[0] += 1e-3
    assert weights_fingerprint(backbone.model) != before


def test_a_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        load_backbone(folder(tmp_path / "absent"))


def test_a_folder_without_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no config\.json"):
        load_backbone(folder(tmp_path))


def test_a_config_that_is_not_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        load_backbone(folder(tmp_path))


def test_a_folder_with_pickled_weights_only_is_refused_without_reading_them(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    with pytest.raises(InputError, match=r"no \*\.safetensors weights \(other weights found: pytorch_model\.bin\)"):
        load_backbone(folder(tmp_path))
    assert not (tmp_path / "pwned").exists()


def test_a_hub_name_without_network_names_the_cache_and_the_folder_alternative() -> None:
    spec = contract.HubBackbone(source="hub", id="nobody/nothing", revision="main", trust_remote_code=False)
    with pytest.raises(InputError, match="could not be loaded from the Hub or its cache") as caught:
        load_backbone(spec)
    assert "model.folder" in str(caught.value.mend)
