"""How whoever has no Espalier names and loads the model that an adapter is for."""

from __future__ import annotations

import json
from dataclasses import dataclass

from espalier_runtime import contract
from espalier_runtime.backbone.load import BackboneSpec, reference_of

#: The Hub's name of the model whose weights a package holds as they are; SmolLM2 is unpacked from a quantised file.
HUB_NAMES = {"minilm": "sentence-transformers/all-MiniLM-L6-v2"}


@dataclass(frozen=True)
class BaseModel:
    """`name`: for PEFT's configuration; `argument` of from_pretrained, in Python, after the line `before`."""

    name: str
    argument: str
    before: str = ""
    note: str = ""


def base_model(spec: BackboneSpec) -> BaseModel:
    """That of the backbone of `spec`."""
    if not isinstance(spec, contract.EmbeddedBackbone):
        reference = reference_of(spec)
        return BaseModel(reference, json.dumps(reference))
    folder = f'embedded_folder("{spec.name}")'
    before = "from espalier_runtime.backbone.embedded import embedded_folder\n"
    name = HUB_NAMES.get(spec.name)
    if name is None:
        return BaseModel(spec.name, folder, before)
    note = f"Without the Hub: `{folder}` of `espalier_runtime.backbone.embedded` is a folder with its weights."
    return BaseModel(name, json.dumps(name), note=f"\n{note}\n")
