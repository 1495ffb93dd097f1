"""Methods that PEFT computes: LoRA, AdaLoRA, (IA)^3, Polytropon and prefix tuning.

PEFT writes into the model it is given. Here that is undone at once: what it put into the backbone is kept aside and
stands in the backbone's place only while it is attached.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from espalier_runtime import contract
from espalier_runtime.backbone.layout import Layout
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.backbone.sites import LINEAR_SLOTS, Site
from espalier_runtime.errors import InputError

ADAPTER = "default"


class PeftModules(nn.Module):
    """The modules that a PEFT tuner puts in the place of the backbone's linears."""

    packs = True

    def __init__(self, backbone: Backbone, config: Any, sites: Sequence[Site], seed: int) -> None:
        """`config` names the modules of `sites` as its targets; `seed` sets the initial weights."""
        from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING

        super().__init__()
        self._lowest = min(site.layer for site in sites)
        model = backbone.model
        before = dict(model.named_modules())
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(seed)
            self._held = [PEFT_TYPE_TO_TUNER_MAPPING[config.peft_type](model, {ADAPTER: config}, ADAPTER)]
        self._places = [(path, model.get_submodule(path)) for path in before if path]
        self._places = [(path, module) for path, module in self._places if module is not before[path]]
        for path, _ in self._places:
            model.set_submodule(path, before[path])
        if hasattr(model, "peft_config"):
            del model.peft_config
        self.weights = nn.ParameterDict()
        for path, module in self._places:
            for name, weight in module.named_parameters():
                if weight.requires_grad:
                    self.weights[f"{path}.{name}".replace(".", "/")] = weight

    @property
    def lowest_layer(self) -> int | None:
        """The lowest layer with a tuned linear."""
        return self._lowest

    @property
    def tuner(self) -> Any:
        """PEFT's own object."""
        return self._held[0]

    def use(self, gates: Tensor | None, tasks: Tensor | None = None, layout: Layout | None = None) -> None:
        """Nothing: all tasks share what is tuned."""

    def train(self, mode: bool = True) -> PeftModules:
        """Also for the modules, which belong to the backbone while they are attached."""
        for _, module in self._places:
            module.train(mode)
        return self

    @contextmanager
    def attached(self, model: nn.Module) -> Iterator[None]:
        """Within the context PEFT's modules stand in the backbone."""
        frozen = [model.get_submodule(path) for path, _ in self._places]
        try:
            for path, module in self._places:
                model.set_submodule(path, module)
            yield
        finally:
            for (path, _), module in zip(self._places, frozen, strict=True):
                model.set_submodule(path, module)


class Polytropon(PeftModules):
    """Each task mixes the skills of a linear in its own way; `use` takes one row of an identity a row of the batch."""

    packs = False  # PEFT wants the task of each row of the batch
    _tasks: Tensor | None = None

    def use(self, gates: Tensor | None, tasks: Tensor | None = None, layout: Layout | None = None) -> None:  # noqa: ARG002
        self._tasks = None if gates is None else gates.argmax(1)

    @contextmanager
    def attached(self, model: nn.Module) -> Iterator[None]:
        def with_tasks(_: nn.Module, args: tuple[Tensor], kwargs: dict[str, object]) -> tuple[Any, dict[str, object]]:
            batch = args[0].shape[0]
            tasks = args[0].new_zeros(1, dtype=torch.long) if self._tasks is None else self._tasks
            return args, {**kwargs, "task_ids": tasks.expand(batch)}

        hooks = [module.register_forward_pre_hook(with_tasks, with_kwargs=True) for _, module in self._places]
        try:
            with super().attached(model):
                yield
        finally:
            for hook in hooks:
                hook.remove()


class Prefix(nn.Module):
    """Learned keys and values before each layer's own (Li and Liang, arXiv 2101.00190), without reparametrisation.

    Cost: 2 * layers * hidden parameters a virtual token.
    """

    packs = False  # each row of the batch attends to the prefix

    def __init__(self, backbone: Backbone, tokens: int, seed: int) -> None:
        """Raises InputError where the family's model takes no keys and values from outside."""
        from peft import PeftModelForFeatureExtraction, PrefixTuningConfig

        super().__init__()
        if "cache" not in inspect.signature(type(backbone.model).forward).parameters:
            raise InputError(
                f"methods: prefix tuning needs a model that takes keys and values, and {backbone.family} does not",
                mend="Leave this method out, or use a model of the families bert, roberta or electra.",
            )
        config = PrefixTuningConfig(task_type="FEATURE_EXTRACTION", num_virtual_tokens=tokens)
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(seed)
            tuned = PeftModelForFeatureExtraction(backbone.model, config)
        self._held = [tuned]
        self._tokens = tokens
        self.layers = backbone.layers
        self.encoder = tuned.prompt_encoder[ADAPTER]

    @property
    def lowest_layer(self) -> int | None:
        """The first: every layer attends to the prefix."""
        return 0

    def use(self, gates: Tensor | None, tasks: Tensor | None = None, layout: Layout | None = None) -> None:
        """Nothing: all tasks share the prefix."""

    @contextmanager
    def attached(self, model: nn.Module) -> Iterator[None]:
        """Within the context every forward of `model` sees the prefix; token types are kept, unlike in PEFT's own."""
        frozen = model.forward

        def forward(input_ids: Tensor, attention_mask: Tensor, **kwargs: object) -> object:
            batch = input_ids.shape[0]
            mask = torch.cat([attention_mask.new_ones(batch, self._tokens), attention_mask], dim=1)
            return frozen(input_ids=input_ids, attention_mask=mask, cache=self._held[0].get_prompt(batch), **kwargs)

        model.forward = forward
        try:
            yield
        finally:
            del model.forward


def lora(
    backbone: Backbone, method: contract.PeftLoraMethod, sites: Sequence[Site], budget: int, seed: int
) -> PeftModules:
    """PEFT's LoRA at the same rank at each site."""
    from peft import LoraConfig

    rank = method.rank or largest(budget, sum(site.inputs + site.outputs for site in sites))
    config = LoraConfig(r=rank, lora_alpha=method.scale * rank, lora_dropout=0.0, target_modules=_modules(sites))
    return PeftModules(backbone, config, sites, seed)


def ia3(backbone: Backbone, sites: Sequence[Site], seed: int) -> PeftModules:
    """PEFT's (IA)^3: scales of the keys, of the values, and of what the MLP's last linear reads."""
    from peft import IA3Config

    inner = [site.module for site in sites if site.slot == "mlp.down"]
    config = IA3Config(target_modules=_modules(sites), feedforward_modules=inner)
    return PeftModules(backbone, config, sites, seed)


def polytropon(
    backbone: Backbone, method: contract.PolytroponMethod, sites: Sequence[Site], tasks: int, budget: int, seed: int
) -> Polytropon:
    """PEFT's Poly: `skills` LoRAs at each site, and for each site a row of logits a task that mixes them."""
    from peft import PolyConfig

    a_rank = method.skills * sum(site.inputs + site.outputs for site in sites)
    config = PolyConfig(
        r=method.rank or largest(budget - tasks * method.skills * len(sites), a_rank),
        n_tasks=tasks,
        n_skills=method.skills,
        n_splits=1,
        target_modules=_modules(sites),
    )
    return Polytropon(backbone, config, sites, seed)


def prefix(backbone: Backbone, method: contract.PrefixMethod, budget: int, seed: int) -> Prefix:
    """PEFT's prefix tuning."""
    return Prefix(backbone, method.tokens or largest(budget, 2 * backbone.layers * backbone.hidden), seed)


def linear_sites(backbone: Backbone, slots: Sequence[str] | None, offered: Sequence[Site]) -> list[Site]:
    """The linears in `slots`; where that is None those among the space's `offered` sites, or all if none is.

    Raises InputError where the backbone has none of them.
    """
    linears = [site for site in backbone.sites if site.slot in LINEAR_SLOTS]
    if slots is None:
        return [site for site in linears if site in offered] or linears
    sites = [site for site in linears if site.slot in slots or site.slot.partition(".")[0] in slots]
    if not sites:
        raise InputError(
            f"methods.slots: the backbone has no linear in {', '.join(slots)}",
            mend=f"Use some of: {', '.join(dict.fromkeys(site.slot for site in linears))}.",
        )
    return sites


def largest(budget: int, cost: int) -> int:
    """How many times `cost` fits the budget, at least once."""
    return max(1, budget // cost)


def _modules(sites: Sequence[Site]) -> list[str]:
    return [site.module for site in sites]
