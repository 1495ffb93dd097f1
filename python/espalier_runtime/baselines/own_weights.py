"""Training the backbone's own weights: all of them (full fine-tuning) or its biases (BitFit).

The weights that are trained are copies, which stand in the backbone's place only while they are attached: the backbone
itself is never written to, so every later trial finds it bit for bit as it was loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from espalier_runtime.backbone.layout import Layout


class OwnWeights(nn.Module):
    """Copies of the weights whose name `wanted` accepts; a weight that two modules share has one copy."""

    packs = True

    def __init__(self, model: nn.Module, wanted: Callable[[str], bool]) -> None:
        super().__init__()
        copies: dict[int, nn.Parameter] = {}
        self.weights = nn.ParameterDict()
        self._places: list[tuple[str, str, str]] = []
        names: dict[int, str] = {}
        for path, module in model.named_modules():
            for name, weight in module.named_parameters(recurse=False):
                full = f"{path}.{name}" if path else name
                if not wanted(full):
                    continue
                if id(weight) not in copies:
                    key = names[id(weight)] = full.replace(".", "/")
                    copies[id(weight)] = self.weights[key] = nn.Parameter(weight.detach().clone())
                self._places.append((path, name, names[id(weight)]))

    @property
    def lowest_layer(self) -> int | None:
        """The first one: weights below every layer, such as the embeddings, change its input."""
        return 0

    def use(self, gates: Tensor | None, tasks: Tensor | None = None, layout: Layout | None = None) -> None:
        """Nothing: every task trains the same weights."""

    @contextmanager
    def attached(self, model: nn.Module) -> Iterator[None]:
        """Within the context `model` computes with the copies."""
        owners = [(model.get_submodule(path), name, key) for path, name, key in self._places]
        frozen = [module._parameters[name] for module, name, _ in owners]
        try:
            for module, name, key in owners:
                module._parameters[name] = self.weights[key]
            yield
        finally:
            for (module, name, _), weight in zip(owners, frozen, strict=True):
                module._parameters[name] = weight


def everything(model: nn.Module) -> OwnWeights:
    """Full fine-tuning."""
    return OwnWeights(model, lambda name: True)  # noqa: ARG005


def biases(model: nn.Module) -> OwnWeights:
    """BitFit (Ben Zaken et al., arXiv 2106.10199): every bias, those of the norms included."""
    return OwnWeights(model, lambda name: name.rpartition(".")[2] == "bias")
