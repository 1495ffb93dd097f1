from __future__ import annotations

from conftest import tiny

from espalier_runtime import contract
from espalier_runtime.structure.measured import TRAINED_BYTES, AdapterCost, StepMemory, StepTimes
from espalier_runtime.structure.space import Candidate, build_space

KINDS = [contract.LoraKind(kind="lora", ranks=[1, 2], scale=2.0)]
SLOTS = ["attention.query", "attention.key", "mlp.down"]
COSTS = {f"{slot}/lora": AdapterCost(fixed=0.5, unit=0.25) for slot in SLOTS}


def candidate(name: str, level: int = 0) -> Candidate:
    """Of rank 1: 64 parameters at query and key, 80 at mlp.down."""
    space = build_space(contract.Space(slots=SLOTS, layers=None, kinds=KINDS), tiny("bert").sites)
    return next(c for c in space.candidates if c.site.name == name and c.level == level)


def above() -> dict[str, float]:
    """A site's way back within its layer: 1 to mlp.down, 4 to query and key."""
    return {f"layers.{layer}.{slot}": 1.0 if slot == "mlp.down" else 4.0 for layer in range(3) for slot in SLOTS}


def ms(*names: tuple[str, int]) -> float:
    times = StepTimes(
        rest=10.0,
        frozen=(5.0,) * 3,
        forward=(6.0,) * 3,
        backward=(7.0,) * 3,
        above=above(),
        adapters=COSTS,
        optimiser=AdapterCost(fixed=0.125, unit=0.0),
    )
    return times.price([candidate(*name) for name in names]).of(range(len(names)))


def test_a_step_goes_back_to_the_lowest_site_and_no_further() -> None:
    frozen = 10.0 + 3 * 5.0 + 0.125
    assert ms() == frozen
    one = 0.5 + 0.25
    # The top layer keeps its activations (6 - 5) and is gone back through as far as the site.
    assert ms(("layers.2.mlp.down", 0)) == frozen + 1.0 + 1.0 + one
    assert ms(("layers.2.attention.query", 0)) == frozen + 1.0 + 4.0 + one
    assert ms(("layers.0.mlp.down", 0)) == frozen + 3 * 1.0 + 2 * 7.0 + 1.0 + one
    # A site above the lowest adds its own products alone; a second chunk at a site only its units.
    assert ms(("layers.0.mlp.down", 0), ("layers.2.attention.query", 0)) == ms(("layers.0.mlp.down", 0)) + one
    assert ms(("layers.2.mlp.down", 0), ("layers.2.mlp.down", 1)) == ms(("layers.2.mlp.down", 0)) + 0.25


def test_adapters_that_read_one_input_keep_it_once() -> None:
    inputs = {"attention.query/lora": "input of attention", "attention.key/lora": "input of attention"}
    memory = StepMemory(100.0, (30.0,) * 3, above(), COSTS, inputs)

    def held(*names: str) -> float:
        return memory.price([candidate(name) for name in names]).of(range(len(names)))

    query = 0.25 + TRAINED_BYTES * 64
    assert held("layers.2.attention.query") == 100 + 4 + 0.5 + query
    assert held("layers.2.attention.query", "layers.2.attention.key") == 100 + 4 + 0.5 + 2 * query
    assert held("layers.1.attention.query", "layers.2.attention.query") == 100 + 30 + 4 + 2 * 0.5 + 2 * query


def test_a_slot_that_was_not_measured_costs_what_the_dearest_does() -> None:
    known = {"attention.query/lora": AdapterCost(1.0, 2.0), "attention.key/lora": AdapterCost(3.0, 1.0)}
    memory = StepMemory(0.0, (0.0,) * 3, above(), known, {})
    assert memory.price([candidate("layers.2.mlp.down")]).of([0]) == 1.0 + 3.0 + 2.0 + TRAINED_BYTES * 80
