"""Sites: the places of a transformer where an adapter may attach, found by the model's family or a given mapping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from espalier_runtime import contract
from espalier_runtime.backbone.families import BLOCK_SLOTS, FAMILIES, LINEAR_SLOTS, NORM_SLOTS, Family, Place
from espalier_runtime.backbone.part import Part
from espalier_runtime.errors import InputError

__all__ = ["BLOCK_SLOTS", "LINEAR_SLOTS", "NORM_SLOTS", "Site", "family_of", "find_sites", "layer_count"]


@dataclass(frozen=True)
class Site:
    """One place where an adapter may attach.

    `module` is the path of the module whose forward is adapted: the linear itself, or for a sub-block the module
    that gives the sub-block's result before its residual is added (for `block`: the layer). `part` says which of the
    module's outputs are the site's, where they are not all.
    """

    name: str
    layer: int
    slot: str
    module: str
    inputs: int
    outputs: int
    part: Part | None = None
    #: Outputs of the whole module; 0 where the site has them all.
    of: int = 0
    #: Attention heads that the slot's outputs are made of (for attention.output its inputs); 1 outside attention.
    heads: int = 1
    #: Of the slot attention, the path of the module that attends, where it can be given more to attend to.
    attends: str | None = None
    #: The sites of the same layer by slot, this one among them.
    beside: Mapping[str, Site] = field(default_factory=dict, compare=False, repr=False)

    @property
    def entry(self) -> Site | None:
        """The site whose module takes in what the sub-block reads; a site that is no sub-block's end is its own.

        None where the model has no such site.
        """
        ways_in = {
            "attention": ("attention.query", "attention.value"),
            "attention.output": ("attention.query", "attention.value"),
            "mlp": ("mlp.up", "mlp.gate"),
            "mlp.down": ("mlp.up", "mlp.gate"),
        }
        return next((self.beside[slot] for slot in ways_in.get(self.slot, (self.slot,)) if slot in self.beside), None)

    @property
    def place(self) -> str:
        """Module and part, as they are shown."""
        return f"{self.module}{self.part or ''}"

    def take(self, outputs: Tensor) -> Tensor:
        """The site's own (..., outputs) of all that its module gives."""
        return outputs if self.part is None else self.part.take(outputs)

    def put(self, outputs: Tensor, own: Tensor) -> Tensor:
        """What its module gives, with the site's own outputs replaced."""
        return own if self.part is None else self.part.put(outputs, own)

    def spread(self, own: Tensor) -> Tensor:
        """The site's own (..., outputs) as all outputs of its module, with zeros for those of other sites."""
        return own if self.part is None else self.part.put(own.new_zeros(*own.shape[:-1], self.of), own)


def find_sites(model: nn.Module, mapping: contract.Mapping | None = None) -> tuple[Site, ...]:
    """Every site of `model`, layer by layer in the order of the slots; `mapping` stands for the family where given.

    Raises InputError for an unknown family, naming what was found, and for a mapping that does not fit the model.
    """
    family = form_of(model, mapping)
    layers = _layers(model, family)
    sites = tuple(
        site
        for index, layer in enumerate(layers)
        for site in _layer_sites(model, layer, f"{family.layers}.{index}", index, family)
    )
    if mapping is not None:
        _check_mapping(mapping, sites, layers[0])
    return sites


def form_of(model: nn.Module, mapping: contract.Mapping | None = None) -> Family:
    """The family of `model`, or what `mapping` says of it; of a mapped model no more is taken for granted."""
    return family_of(model) if mapping is None else _mapped(mapping)


def family_of(model: nn.Module) -> Family:
    """The known family of `model`. Raises InputError for an unknown one, naming its modules and the known families."""
    model_type = _model_type(model)
    family = FAMILIES.get(model_type)
    if family is None:
        lists = ", ".join(f"{path} ({count} of them)" for path, count in _repeated(model)) or "none"
        raise InputError(
            f'backbone: the model family "{model_type}" is not known; modules that repeat: {lists};'
            f" linear modules: {', '.join(_linears(model)[:12])}",
            mend=f"Use a model of one of these families: {', '.join(FAMILIES)}; or say where its layers and slots are:"
            ' backbone: { ..., mapping: { layers: "encoder.layer", slots: { "attention.query": "attention.q" } } }.',
        )
    return family


def layer_count(sites: tuple[Site, ...]) -> int:
    """The number of layers that `sites` span."""
    return 1 + max(site.layer for site in sites)


def _mapped(mapping: contract.Mapping) -> Family:
    places = {
        str(slot): _fused(given) if isinstance(given, contract.FusedModule) else Place((given,))
        for slot, given in mapping.slots.items()
    }
    ordered = {slot: places[slot] for slot in (*LINEAR_SLOTS, *BLOCK_SLOTS, *NORM_SLOTS) if slot in places}
    return Family(mapping.layers, ordered, packs=False, starts=False)


def _fused(given: contract.FusedModule) -> Place:
    return Place((given.module,), lambda config: Part(given.start, given.stop, given.groups))  # noqa: ARG005


def _layers(model: nn.Module, family: Family) -> nn.ModuleList:
    try:
        layers = model.get_submodule(family.layers)
    except AttributeError:
        layers = None
    if not isinstance(layers, nn.ModuleList) or len(layers) == 0:
        lists = ", ".join(path for path, _ in _repeated(model)) or "none"
        raise InputError(
            f'backbone.mapping.layers: "{family.layers}" is no list of layers of this {_model_type(model)} model;'
            f" its lists are {lists}",
            mend="Give the path of the list that holds the transformer's layers.",
        )
    return layers


def _layer_sites(model: nn.Module, layer: nn.Module, layer_path: str, index: int, family: Family) -> Iterable[Site]:
    beside: dict[str, Site] = {}
    norms = {slot: place for slot, place in _norms(layer, model.config).items() if slot not in family.slots}
    for slot, place in {**family.slots, **norms}.items():
        site = _site(model, layer, layer_path, index, slot, place)
        if site is not None:
            beside[slot] = replace(site, heads=_heads(slot, model.config), beside=beside)
    if family.packs and {"attention", "attention.query"} <= beside.keys():
        attends = beside["attention.query"].module.rpartition(".")[0]
        beside["attention"] = replace(beside["attention"], attends=attends)
    return beside.values()


def _norms(layer: nn.Module, config: Any) -> dict[str, Place]:
    """The norm of each sub-block, by type and width: a layer's first norm, and the first of the second half."""
    found = [
        path
        for path, module in layer.named_modules()
        if type(module).__name__.endswith("Norm")
        and isinstance(getattr(module, "weight", None), nn.Parameter)
        and module.weight.shape == (config.hidden_size,)
    ]
    if len(found) not in (2, 4):
        return {}
    return {slot: Place((path,)) for slot, path in zip(NORM_SLOTS, (found[0], found[len(found) // 2]), strict=True)}


def _heads(slot: str, config: Any) -> int:
    if slot.partition(".")[0] != "attention" or slot not in LINEAR_SLOTS:
        return 1
    heads = int(config.num_attention_heads)
    if slot in ("attention.key", "attention.value"):
        return int(getattr(config, "num_key_value_heads", None) or heads)
    return heads


def _site(model: nn.Module, layer: nn.Module, layer_path: str, index: int, slot: str, place: Place) -> Site | None:
    if not place.applies(model.config):
        return None
    inner = dict(layer.named_modules())
    path = next((path for path in place.modules if path in inner), None)
    if path is None:
        return None
    module_path = f"{layer_path}.{path}" if path else layer_path
    part = None if place.part is None else place.part(model.config)
    inputs, outputs = _shape(inner[path], model.config)
    if part is not None:
        if part.stop * part.groups > outputs or outputs % part.groups:
            raise InputError(
                f"backbone.mapping.slots: {slot} is {path}{part}, but {path} has {outputs} outputs",
                mend="Give start, stop and groups that lie within the module's outputs.",
            )
        return Site(f"layers.{index}.{slot}", index, slot, module_path, inputs, part.width, part, outputs)
    return Site(f"layers.{index}.{slot}", index, slot, module_path, inputs, outputs)


def _shape(module: nn.Module, config: Any) -> tuple[int, int]:
    """Inputs and outputs of a linear, or of transformers' Conv1D, whose weight is (inputs, outputs)."""
    from transformers.pytorch_utils import Conv1D

    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    if isinstance(module, Conv1D):
        return int(module.nx), int(module.nf)
    return int(config.hidden_size), int(config.hidden_size)


def _check_mapping(mapping: contract.Mapping, sites: tuple[Site, ...], layer: nn.Module) -> None:
    if not mapping.slots:
        raise InputError(
            f"backbone.mapping.slots: {{}} names no slot; a layer's linear modules are {', '.join(_linears(layer))}",
            mend="Name at least one slot and its module.",
        )
    matched = {site.slot for site in sites}
    for slot, given in mapping.slots.items():
        if slot not in matched:
            path = given.module if isinstance(given, contract.FusedModule) else given
            raise InputError(
                f'backbone.mapping.slots: {slot} is "{path}", but no layer of {mapping.layers} has such a module;'
                f" a layer's linear modules are {', '.join(_linears(layer))}",
                mend="Give the module's path inside a layer.",
            )


def _model_type(model: nn.Module) -> str:
    return str(getattr(model.config, "model_type", type(model).__name__))


def _repeated(model: nn.Module) -> list[tuple[str, int]]:
    """Path and length of every list of modules that is not inside another."""
    lists = [(name, len(part)) for name, part in model.named_modules() if isinstance(part, nn.ModuleList)]
    return [(name, count) for name, count in lists if not any(name.startswith(f"{other}.") for other, _ in lists)]


def _linears(model: nn.Module) -> list[str]:
    """The names of all linears, with * for the numbers in them."""
    from transformers.pytorch_utils import Conv1D

    names = (name for name, part in model.named_modules() if isinstance(part, nn.Linear | Conv1D))
    return sorted({".".join("*" if part.isdigit() else part for part in name.split(".")) for name in names})
