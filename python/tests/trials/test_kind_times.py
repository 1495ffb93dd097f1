from __future__ import annotations

import pytest
import torch
from conftest import tiny

from espalier_runtime import contract
from espalier_runtime.trials.kind_times import kind_times


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_every_kind_with_a_place_is_timed_and_the_backbone_stays_as_it_is(family: str) -> None:
    backbone = tiny(family)
    before = {name: weight.clone() for name, weight in backbone.model.state_dict().items()}
    specs = [contract.LoraKind(kind="lora"), contract.Ia3Kind(kind="ia3"), contract.TokenGateKind(kind="tokenGate")]
    found = kind_times(backbone, specs, turns=1)
    assert set(found) == {"lora", "ia3", "tokenGate"}
    assert all(value > 0 for value in found.values())
    assert all(torch.equal(weight, before[name]) for name, weight in backbone.model.state_dict().items())


def test_it_can_be_cancelled_between_two_steps() -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kind_times(tiny("bert"), [contract.LoraKind(kind="lora")], turns=5, check=check)
    assert calls == 2
