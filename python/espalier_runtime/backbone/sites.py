"""Sites: the places of a transformer where an adapter may attach, found by the model's family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from espalier_runtime.errors import InputError

LINEAR_SLOTS = (
    "attention.query",
    "attention.key",
    "attention.value",
    "attention.output",
    "mlp.up",
    "mlp.gate",
    "mlp.down",
)
BLOCK_SLOTS = ("attention", "mlp", "block")


@dataclass(frozen=True)
class Site:
    """One place where an adapter may attach.

    `module` is the path of the module whose forward is adapted: the linear itself, or for a sub-block the module
    that gives the sub-block's result before its residual is added (for `block`: the layer).
    """

    name: str
    layer: int
    slot: str
    module: str
    inputs: int
    outputs: int


@dataclass(frozen=True)
class Family:
    """Where a family keeps its layers, and each slot's module inside a layer ("" is the layer itself)."""

    layers: str
    slots: Mapping[str, str]


def _encoder(layers: str, query: str, key: str, value: str, output: str, up: str, down: str) -> Family:
    linears = dict(zip(LINEAR_SLOTS, (query, key, value, output, up, None, down), strict=True))
    slots = {slot: path for slot, path in linears.items() if path is not None}
    return Family(layers, {**slots, "attention": output, "mlp": down, "block": ""})


_BERT = _encoder(
    "encoder.layer",
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)

FAMILIES: Mapping[str, Family] = {
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "electra": _BERT,
    "mpnet": _encoder(
        "encoder.layer",
        "attention.attn.q",
        "attention.attn.k",
        "attention.attn.v",
        "attention.attn.o",
        "intermediate.dense",
        "output.dense",
    ),
    "distilbert": _encoder(
        "transformer.layer",
        "attention.q_lin",
        "attention.k_lin",
        "attention.v_lin",
        "attention.out_lin",
        "ffn.lin1",
        "ffn.lin2",
    ),
}


def find_sites(model: nn.Module) -> tuple[Site, ...]:
    """Every site of `model`, layer by layer in the order of the family's slots.

    Raises InputError for an unknown family, naming its modules and the known families.
    """
    model_type = str(getattr(model.config, "model_type", type(model).__name__))
    family = FAMILIES.get(model_type)
    if family is None:
        leaves = sorted({_without_numbers(name) for name, part in model.named_modules() if isinstance(part, nn.Linear)})
        raise InputError(
            f'backbone: the model family "{model_type}" is not known; its linear modules are {", ".join(leaves[:12])}',
            mend=f"Use a model of one of these families: {', '.join(FAMILIES)}.",
        )
    layers = model.get_submodule(family.layers)
    assert isinstance(layers, nn.ModuleList)
    return tuple(
        _site(model, f"{family.layers}.{index}", index, slot, path)
        for index in range(len(layers))
        for slot, path in family.slots.items()
    )


def layer_count(sites: tuple[Site, ...]) -> int:
    """The number of layers that `sites` span."""
    return 1 + max(site.layer for site in sites)


def _site(model: nn.Module, layer_path: str, index: int, slot: str, path: str) -> Site:
    module_path = f"{layer_path}.{path}" if path else layer_path
    module = model.get_submodule(module_path)
    if isinstance(module, nn.Linear):
        inputs, outputs = module.in_features, module.out_features
    else:
        inputs = outputs = int(model.config.hidden_size)  # type: ignore[union-attr, arg-type]
    return Site(f"layers.{index}.{slot}", index, slot, module_path, inputs, outputs)


def _without_numbers(name: str) -> str:
    return ".".join("*" if part.isdigit() else part for part in name.split("."))
