"""Path noise: adapters whose residual says nothing any more.

An adapter is what adapts one module of the backbone (all kinds there together), and for prefix tuning the keys and
values of one layer. Each is damaged with probability `ratio`, once for a whole evaluation: with D its residual, a
damaged one adds noise of the same size instead,

    h' = h + e D,   e ~ N(0, 1) for each token and dimension.

What is damaged at a smaller ratio is damaged at a larger one too, and adapters of the same module fare alike in every
method. Where keys and values are given beside a layer's own, h is what its attention mixes. The modules at which tokens
are gated stay whole: what a gate lets through is no residual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from espalier_runtime.backbone.beside import BESIDE, NOISE
from espalier_runtime.backbone.layout import Layout
from espalier_runtime.baselines.peft_methods import Prefix
from espalier_runtime.robustness.chance import gaussian, generator_of, random_of
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.training.adaptation import Adaptation

#: Random numbers of a tensor's shape.
Noise = Callable[[Tensor], Tensor]


def has_paths(model: nn.Module, adapters: Adaptation) -> bool:
    """Whether there are adapters that could be damaged: trained weights of the backbone itself are none."""
    if isinstance(adapters, Prefix):
        return True
    before = dict(model.named_modules())
    with adapters.attached(model):
        return bool(_adapted(model, before, adapters))


class DamagedPaths:
    """`adapters`, of which each is damaged with probability `ratio` while they are attached."""

    def __init__(self, adapters: Adaptation, ratio: float, seed: int) -> None:
        self._adapters, self._ratio, self._seed = adapters, ratio, seed

    @property
    def lowest_layer(self) -> int | None:
        return self._adapters.lowest_layer

    @property
    def packs(self) -> bool:
        return self._adapters.packs

    def use(self, gates: Tensor | None, tasks: Tensor | None = None, layout: Layout | None = None) -> None:
        self._adapters.use(gates, tasks, layout)

    def parameters(self) -> Iterator[nn.Parameter]:
        return self._adapters.parameters()

    def state_dict(self) -> dict[str, Any]:
        return self._adapters.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        return self._adapters.load_state_dict(state_dict)

    @contextmanager
    def attached(self, model: nn.Module) -> Iterator[None]:
        """Within the context `model` is adapted, and some of its adapters are damaged."""
        before = dict(model.named_modules())
        with self._damaged_prefix(), self._adapters.attached(model):
            touched: list[tuple[nn.Module, str, object]] = []
            try:
                for path, (module, frozen) in _adapted(model, before, self._adapters).items():
                    if not self._hit(path):
                        continue
                    noise: Noise = partial(gaussian, generator=generator_of(self._seed, "damage", path))
                    name = NOISE if frozen is None else "forward"
                    touched.append((module, name, vars(module).get(name)))
                    vars(module)[name] = noise if frozen is None else _damaged(module.forward, frozen, noise)
                yield
            finally:
                for module, name, was in touched:
                    del vars(module)[name]
                    if was is not None:
                        vars(module)[name] = was

    def _hit(self, path: str) -> bool:
        return bool(random_of(self._seed, "path", path).random() < self._ratio)

    @contextmanager
    def _damaged_prefix(self) -> Iterator[None]:
        if not isinstance(self._adapters, Prefix):
            yield
            return
        weight = self._adapters.encoder.embedding.weight  # (tokens, layers * 2 * hidden)
        whole = weight.detach().clone()
        try:
            with torch.no_grad():
                by_layer = weight.view(len(weight), self._adapters.layers, -1)
                for layer in range(self._adapters.layers):
                    if self._hit(f"prefix.{layer}"):
                        part = by_layer[:, layer]
                        noise = gaussian(part, generator_of(self._seed, "damage", f"prefix.{layer}"))
                        part.copy_(part.square().mean().sqrt() * noise)
            yield
        finally:
            with torch.no_grad():
                weight.copy_(whole)


Forward = Callable[..., Any]


def _adapted(
    model: nn.Module, before: Mapping[str, nn.Module], adapters: Adaptation
) -> dict[str, tuple[nn.Module, Forward | None]]:
    """By path: the modules that are adapted now, and the forward that each had before.

    None: an attention that is given more to attend to, which knows what it is without it.
    """
    members = adapters.members() if isinstance(adapters, AdapterPool) else ()
    gated = {hook.site.module for member in members for hook in member.hooks() if hook.outer}
    found: dict[str, tuple[nn.Module, Forward | None]] = {}
    for path, module in model.named_modules():
        if not path or path not in before or path in gated:
            continue
        frozen = before[path]
        if module is not frozen:  # PEFT puts a module of its own around a linear, which takes more than its input
            found[path] = (module, lambda x, *_, of=frozen, **__: of(x))
        elif "forward" in vars(module):
            found[path] = (module, type(module).forward.__get__(module))
        elif BESIDE in vars(module):
            found[path] = (module, None)
    return found


def _damaged(adapted: Forward, frozen: Forward, noise: Noise) -> Forward:
    def forward(*args: object, **kwargs: object) -> object:
        whole, bare = adapted(*args, **kwargs), frozen(*args, **kwargs)
        h = bare[0] if isinstance(bare, tuple) else bare
        residual = (whole[0] if isinstance(whole, tuple) else whole) - h
        said = h + noise(h) * residual
        return (said, *whole[1:]) if isinstance(whole, tuple) else said

    return forward
