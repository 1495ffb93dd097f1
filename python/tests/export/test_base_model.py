from __future__ import annotations

import json
from pathlib import Path

import pytest
from planted import planted

from espalier_runtime import contract
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.export.base_model import base_model
from espalier_runtime.trials.exports import export_trial


def test_a_model_of_a_package_is_named_as_the_hub_knows_it_where_its_weights_are_the_hubs() -> None:
    minilm = base_model(contract.EmbeddedBackbone(source="embedded", name="minilm"))
    assert minilm.name == "sentence-transformers/all-MiniLM-L6-v2"
    assert minilm.argument == '"sentence-transformers/all-MiniLM-L6-v2"'
    unpacked = base_model(contract.EmbeddedBackbone(source="embedded", name="smollm2"))
    assert unpacked.argument == 'embedded_folder("smollm2")'
    assert "import embedded_folder" in unpacked.before
    hub = base_model(contract.HubBackbone(source="hub", id="org/model"))
    assert (hub.name, hub.argument, hub.before, hub.note) == ("org/model", '"org/model"', "", "")


@pytest.mark.fresh
def test_the_lines_of_an_exports_readme_load_it(
    tmp_path: Path, minilm: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, directory = planted(tmp_path / "run", minilm, "lora")
    (made,) = export_trial(given, directory, "peft", task="intent", backbone=minilm)
    readme = (Path(made.path) / "README.md").read_text()
    config = json.loads((Path(made.path) / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "sentence-transformers/all-MiniLM-L6-v2"
    lines = readme.split("```python\n")[1].split("```")[0]
    # Without the Hub, as the note says.
    assert 'embedded_folder("minilm")' in readme
    lines = lines.replace('"sentence-transformers/all-MiniLM-L6-v2"', 'str(embedded_folder("minilm"))')
    monkeypatch.chdir(made.path)
    space: dict[str, object] = {}
    exec("from espalier_runtime.backbone.embedded import embedded_folder\n" + lines, space)
    assert "PeftModel" in type(space["model"]).__name__
