"""What structures have in common."""

from __future__ import annotations

import pytest

from espalier_runtime import contract
from espalier_runtime.structure.overlap import mean_overlap


def structure(*chosen: tuple[str, int, int, list[str]]) -> contract.Structure:
    """Of LoRA ranks of 10 parameters each: (site, first rank, ranks, tasks)."""
    candidates = [
        {
            "site": site,
            "layer": 0,
            "slot": "attention.query",
            "kind": "lora",
            "start": start,
            "size": size,
            "parameters": 10 * size,
            "tasks": tasks,
            "scores": {},
        }
        for site, start, size, tasks in chosen
    ]
    backbone = {"family": "bert", "layers": 1, "hidden": 8, "slots": ["attention.query"], "sites": {}}
    return contract.Structure.model_validate(
        {
            "version": 1,
            "method": "budgeted",
            "backbone": backbone,
            "tasks": ["a", "b"],
            "budget": 100,
            "parameters": {"union": 0, "tasks": {}},
            "candidates": candidates,
        }
    )


FIRST = structure(("x", 0, 2, ["a"]), ("y", 0, 1, ["a", "b"]))
SECOND = structure(("x", 0, 1, ["a", "b"]), ("z", 0, 1, ["a"]))


def test_it_counts_ranks_that_both_have_of_those_that_either_has() -> None:
    # x[0] in both; x[1], y[0] and z[0] in one.
    assert mean_overlap([FIRST, SECOND]) == pytest.approx(1 / 4)
    assert mean_overlap([FIRST, FIRST]) == 1


def test_it_is_the_mean_over_pairs() -> None:
    assert mean_overlap([FIRST, SECOND, FIRST]) == pytest.approx((1 / 4 + 1 + 1 / 4) / 3)


def test_of_a_task_it_counts_what_the_task_uses() -> None:
    # b uses y[0] of the first and x[0] of the second.
    assert mean_overlap([FIRST, SECOND], "b") == 0


def test_the_same_ranks_in_other_chunks_agree() -> None:
    assert mean_overlap([structure(("x", 0, 2, ["a"])), structure(("x", 0, 1, ["a"]), ("x", 1, 1, ["a"]))]) == 1


def test_one_structure_and_structures_of_nothing_have_none() -> None:
    assert mean_overlap([FIRST]) is None
    assert mean_overlap([structure(), structure()]) is None


def test_what_is_another_tasks_own_is_no_part_of_what_a_task_has() -> None:
    one, other = structure(("q", 0, 2, ["a"]), ("k", 0, 2, ["a"])), structure(("q", 0, 2, ["a"]))
    for found in (one, other):
        # Of a dualLora's parameters, those of the second task's own path.
        found.candidates[0].of_others = 10
    assert mean_overlap([one, other]) == pytest.approx(20 / 40)
    assert mean_overlap([one, other], "a") == pytest.approx(10 / 30)
