"""What was measured on a device, layer by layer and slot by slot, as prices of structures.

A training step with the candidates S, whose lowest site is s in layer k of L, takes

    rest + sum_(l<L) frozen_l + optimiser(S)  +  above_k(s) + sum_(l>k) backward_l + sum_(l>=k) (forward_l - frozen_l)
         + sum over S's sites and kinds of (fixed + unit * size)

with `frozen` a layer's forward without gradients, `forward` with them, `above(s)` the way of backward from the layer's
output to the output of s. Below k nothing flows back; and where the states that enter layer k are cached, nothing below
it runs at all, so that `frozen` is zero. Memory has the same form, in bytes kept for backward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from espalier_runtime.structure.costs import Price
from espalier_runtime.structure.space import Candidate

#: Bytes a trained parameter takes beside activations: itself, its gradient, and AdamW's two moments, in float32.
TRAINED_BYTES = 16


@dataclass(frozen=True)
class AdapterCost:
    """What the first chunk of a kind at a site costs, and each inner unit of it."""

    fixed: float
    unit: float


@dataclass(frozen=True)
class StepTimes:
    """Milliseconds. Lists have one entry a layer; `above` is by site, `adapters` by "slot/kind".

    `rest` is a step without layers and optimiser: reading the batch, embeddings, head and loss. `cached`: a step starts
    at its lowest adapted layer.
    """

    rest: float
    frozen: tuple[float, ...]
    forward: tuple[float, ...]
    backward: tuple[float, ...]
    above: Mapping[str, float]
    adapters: Mapping[str, AdapterCost]
    optimiser: AdapterCost
    cached: bool = False

    def price(self, candidates: Sequence[Candidate]) -> Price:
        """The module's formula."""
        frozen = [0.0] * len(self.frozen) if self.cached else self.frozen
        kept = [
            max(0.0, with_gradients - without) for with_gradients, without in zip(self.forward, frozen, strict=True)
        ]
        own = [_of(self.adapters, c).unit * c.size + self.optimiser.unit * c.parameters for c in candidates]
        return Price(
            base=self.rest + sum(frozen) + self.optimiser.fixed,
            depth=_depths(candidates, [b + k for b, k in zip(self.backward, kept, strict=True)], self.above, kept),
            own=tuple(own),
            needs=tuple((_group(c),) for c in candidates),
            parts={_group(c): _of(self.adapters, c).fixed for c in candidates},
        )


@dataclass(frozen=True)
class StepMemory:
    """Bytes. `rest` is what a step takes whatever is adapted: the backbone, the heads, what comes and goes.

    `saved` is what a layer keeps for backward, `above` from a site's output on; `inputs` says which slots read the same
    tensor, which is kept once.
    """

    rest: float
    saved: tuple[float, ...]
    above: Mapping[str, float]
    adapters: Mapping[str, AdapterCost]
    inputs: Mapping[str, str]

    def price(self, candidates: Sequence[Candidate]) -> Price:
        """The module's formula, with what adapters of one input keep of it counted once."""
        parts: dict[str, float] = {}
        for candidate in candidates:
            part = self._input(candidate)
            parts[part] = max(parts.get(part, 0.0), _of(self.adapters, candidate).fixed)
        return Price(
            base=self.rest,
            depth=_depths(candidates, self.saved, self.above, [0.0] * len(self.saved)),
            own=tuple(_of(self.adapters, c).unit * c.size + TRAINED_BYTES * c.parameters for c in candidates),
            needs=tuple((self._input(c),) for c in candidates),
            parts=parts,
        )

    def _input(self, candidate: Candidate) -> str:
        shared = self.inputs.get(f"{candidate.site.slot}/{candidate.kind}")
        return _group(candidate) if shared is None else f"layers.{candidate.site.layer}/{shared}"


def _depths(
    candidates: Sequence[Candidate], layers: Sequence[float], above: Mapping[str, float], own_layer: Sequence[float]
) -> tuple[float, ...]:
    """For each candidate: its own layer down to its site, and the layers over it whole."""

    def depth(candidate: Candidate) -> float:
        layer = candidate.site.layer
        return above[candidate.site.name] + own_layer[layer] + sum(layers[layer + 1 :])

    return tuple(depth(candidate) for candidate in candidates)


def _group(candidate: Candidate) -> str:
    return f"{candidate.site.name}/{candidate.kind}"


def _of(costs: Mapping[str, AdapterCost], candidate: Candidate) -> AdapterCost:
    """The cost of the candidate's kind at its slot; where the space had none there, the dearest that it had."""
    found = costs.get(f"{candidate.site.slot}/{candidate.kind}")
    if found is not None:
        return found
    return AdapterCost(max(c.fixed for c in costs.values()), max(c.unit for c in costs.values()))
