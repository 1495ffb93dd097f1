"""The race: what it costs, who leaves, and that it gives the best of what ran."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from problems import budgeted, heads, problem

from espalier_runtime import contract
from espalier_runtime.errors import TrialError
from espalier_runtime.search.fixed import uniform
from espalier_runtime.search.methods import find_structure
from espalier_runtime.search.problem import Found, SearchProblem
from espalier_runtime.search.race import judge, rounds_of, search_race
from espalier_runtime.search.race_cost import RaceCost
from espalier_runtime.training.checkpoint import TrialCheckpoint

FIXED = [{"method": "uniform"}, {"method": "topLayers", "layers": 1}, {"method": "random", "draws": 2}]


def race(**changes: object) -> contract.RaceMethod:
    given = {"method": "race", "proposals": FIXED, "rateFactors": [0.01, 1.0], "fits": 4, "heldOut": 0.25}
    return contract.RaceMethod.model_validate({**given, **changes})


def run(given: SearchProblem, spec: contract.RaceMethod) -> Found:
    return search_race(given, spec, "race", find_structure)


def long_problem(**changes: Any) -> SearchProblem:
    """Fits of 24 steps."""
    return problem(epochs=4, headInit="zero", **changes)


def test_the_better_half_goes_on_and_who_is_behind_beyond_doubt_leaves() -> None:
    rows = [[1.0, 1.25, 1.5, 1.75], [1.5, 1.25, 1.5, 1.75], [3.0, 3.0, 2.5, 3.5], [1.0, 1.75, 1.5, 1.25]]
    result = judge(torch.tensor(rows).double(), [0, 0, 0, 0])
    # Equal to the last digit is not worse: of equals the first leads.
    assert result.loss == [1.375, 1.5, 3.0, 1.375]
    assert result.kept == [True, False, False, True]
    assert result.behind == [0.0, 0.125, 1.625, 0.0]
    surely = judge(torch.tensor([[1.0, 2.0, 3.0], [1.1, 2.1, 3.1], [9.0, 9.0, 9.0]]).double(), [0, 0, 0])
    assert surely.error[1] == pytest.approx(0.0, abs=1e-7)
    assert surely.kept == [True, False, False]


def test_tasks_count_alike_whatever_their_rows() -> None:
    losses = torch.tensor([[1.0, 1.0, 1.0, 4.0], [2.0, 2.0, 2.0, 2.0]])
    result = judge(losses, [0, 0, 0, 1])
    assert result.loss == pytest.approx([2.5, 2.0])
    assert result.behind[0] == pytest.approx(0.5)


def test_an_entrant_whose_loss_is_not_finite_is_last() -> None:
    assert judge(torch.tensor([[torch.inf, torch.inf], [5.0, 6.0]]), [0, 0]).kept == [False, True]


def test_halving_takes_the_logarithm_of_the_entrants() -> None:
    assert [rounds_of(count) for count in (1, 2, 3, 8, 15)] == [0, 1, 2, 3, 4]


def test_reading_takes_a_quarter_of_what_an_entrant_has_and_no_fit_is_longer_than_a_whole_one() -> None:
    cost = RaceCost(long_problem(), limit=10)
    # Of 10 fits of 2 * 8 * 24 passes, 192 go to each of ten entrants in each of two rounds.
    assert cost.round(10, 2, held_out=1000) == ((192 - 48) // 16, 48)
    assert cost.round(10, 2, held_out=20) == ((192 - 20) // 16, 20)
    assert cost.round(2, 1, held_out=1000) == (24, 480)


@pytest.fixture(scope="module")
def finished() -> tuple[Found, list[tuple[int, int]]]:
    """A race, and the (steps, rows) of every fit in it."""
    seen: list[tuple[int, int]] = []
    original = SearchProblem.train

    def counted(self: SearchProblem, *args: Any, **kwargs: Any) -> Any:
        done = original(self, *args, **kwargs)
        seen.append((len(done.losses), len(self.corpus)))
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SearchProblem, "train", counted)
        return run(long_problem(), race()), seen


def test_the_race_keeps_its_bound_and_counts_every_step(finished: tuple[Found, list[tuple[int, int]]]) -> None:
    found, seen = finished
    assert found.race is not None
    held_out = found.race.held_out
    assert held_out == 12
    assert all(rows == 48 - held_out for _, rows in seen)
    steps = sum(count for count, _ in seen)
    passes = 2 * 8 * steps + held_out * len(seen)
    assert found.steps == steps
    assert found.race.fits == pytest.approx(passes / (2 * 8 * 24))
    assert 0.75 * 4 < found.race.fits <= 4


def test_it_gives_the_structure_and_rate_that_win_the_last_round(
    finished: tuple[Found, list[tuple[int, int]]],
) -> None:
    found, _ = finished
    assert found.race is not None
    last = found.race.rounds[-1]
    (winner,) = [entrant for entrant in last.entrants if entrant.kept]
    assert winner.loss == min(entrant.loss for entrant in last.entrants)
    assert found.learning_rate == winner.learning_rate == 0.01
    assert found.structure.method == "race"
    assert found.structure.union == winner.parameters <= 1000
    # A hundredth of a sensible rate learns next to nothing, and leaves early.
    assert all(entrant.learning_rate == 0.01 for entrant in last.entrants)
    first = found.race.rounds[0]
    assert len(first.entrants) == 2 * 4
    assert [entrant.proposal for entrant in first.entrants[::2]] == [
        "uniform",
        "topLayers",
        "random-draw0",
        "random-draw1",
    ]


def test_searches_propose_too_and_are_counted() -> None:
    proposals = [
        budgeted(epochs=2).model_dump(by_alias=True),
        {"method": "saliency", "batches": 2},
        {"method": "uniform"},
    ]
    found = run(long_problem(), race(proposals=proposals, rateFactors=[1.0], fits=3))
    assert found.race is not None
    assert {entrant.proposal for entrant in found.race.rounds[0].entrants} == {"budgeted", "saliency", "uniform"}
    # Half a fit's epochs on three quarters of the rows, and four batches, come before the first round.
    rounds = sum(round_.steps * len(round_.entrants) for round_ in found.race.rounds)
    assert found.steps - rounds == 2 * 5 + 4
    assert found.race.fits <= 3


def test_structures_that_are_the_same_run_once() -> None:
    found = run(long_problem(), race(proposals=[{"method": "uniform"}, {"method": "uniform", "name": "again"}]))
    assert found.race is not None
    assert [entrant.proposal for entrant in found.race.rounds[0].entrants] == ["uniform", "uniform"]


def test_a_single_entrant_needs_no_round() -> None:
    given = long_problem()
    found = run(given, race(proposals=[{"method": "uniform"}], rateFactors=[2.0]))
    assert found.race is not None
    assert (found.race.rounds, found.race.fits, found.learning_rate) == ([], 0.0, 0.02)
    assert found.structure.candidates == uniform(given, None, "uniform").structure.candidates


def test_a_bound_that_is_too_low_is_said_with_what_mends_it() -> None:
    with pytest.raises(TrialError, match="less than a step for each") as caught:
        run(long_problem(), race(fits=0.1))
    assert "fits" in str(caught.value.mend)
    with pytest.raises(TrialError, match="the searches of its proposals cost 1 fits, all of the 1 it may cost"):
        run(long_problem(), race(proposals=[budgeted().model_dump(by_alias=True)], fits=1))


def test_heads_know_nothing_of_the_held_out_rows() -> None:
    asked: list[list[int]] = []

    def new_heads(aside: Any = (), *, probe: bool | None = None) -> Any:
        asked.append(sorted(aside))
        return heads(2)

    given = long_problem()
    object.__setattr__(given, "new_heads", new_heads)
    run(given, race(rateFactors=[1.0], fits=1))
    held_out = given.held_out(0.25)
    assert asked
    assert all(aside == held_out for aside in asked)


def test_a_race_that_was_stopped_ends_as_the_whole_one(
    finished: tuple[Found, list[tuple[int, int]]], tmp_path: Path
) -> None:
    whole, _ = finished

    class StoppedError(Exception):
        pass

    def stopping(after: int) -> SearchProblem:
        given = long_problem()
        count = 0

        def report(step: int, steps: int, loss: float) -> None:
            nonlocal count
            count += 1
            if count == after:
                raise StoppedError

        object.__setattr__(given, "report", report)
        object.__setattr__(given, "checkpoint", TrialCheckpoint(tmp_path, "key", 1e9, lambda message: None))
        return given

    with pytest.raises(StoppedError):
        run(stopping(40), race())
    again = run(stopping(10**9), race())
    assert again.race == whole.race
    assert again.structure == whole.structure


def test_a_race_whose_every_fit_diverges_has_no_winner() -> None:
    given = long_problem(learningRate=1.0, gradientClip=1e30)
    with pytest.raises(TrialError, match="race: no entrant of round 1 ended with a finite loss") as caught:
        run(given, race(rateFactors=[1e30, 1e31]))
    assert "rateFactors" in str(caught.value.mend)
