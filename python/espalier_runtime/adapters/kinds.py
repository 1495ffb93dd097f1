"""From the contract's kinds to the protocol: one line a kind."""

from __future__ import annotations

from collections.abc import Iterable

from espalier_runtime import contract
from espalier_runtime.adapters.base import AdapterKind
from espalier_runtime.adapters.bottleneck import bottleneck
from espalier_runtime.adapters.lora import lora


def kinds_of(specs: Iterable[contract.LoraKind | contract.BottleneckKind]) -> dict[str, AdapterKind]:
    """The kinds by name, in the order of the space."""
    return {spec.kind: lora(spec) if isinstance(spec, contract.LoraKind) else bottleneck(spec) for spec in specs}
