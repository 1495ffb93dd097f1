"""Race: structures that other methods propose, each at several learning rates, against each other in short fits.

An entrant e is a structure and a learning rate. In a round every entrant is fitted anew, for the same number of steps
with the whole schedule of the rate, and read on the same held-out rows i of train. With l[e,i] the losses and

    L_e = mean over tasks of the mean over a task's rows of l[e,i]          d_i = l[e,i] - l[best,i]

e is behind the round's best by D = L_e - L_best, with SE^2 = sum over tasks of Var(d) / rows, over tasks squared. It
leaves if it is not in the better half by L, or where D > 2 SE, and the next round gives the others longer fits. The
last round's best is the answer.

Cost: a row trained on is two passes, one read is one; a fit of the training's length is the unit. The proposals'
searches are counted, and the rounds share what `fits` leaves evenly; where fits are short, fewer rows are read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.errors import TrialError
from espalier_runtime.search.held_out import row_losses
from espalier_runtime.search.problem import Found, SearchProblem
from espalier_runtime.search.race_cost import RaceCost
from espalier_runtime.structure.gates import FixedGates
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.structure import Structure
from espalier_runtime.training.checkpoint import Checkpoint, TrialCheckpoint
from espalier_runtime.training.model import AdaptedModel

Proposal = (
    contract.BudgetedMethod
    | contract.PaperMethod
    | contract.ImportanceMethod
    | contract.SaliencyMethod
    | contract.FisherMethod
    | contract.EvaMethod
    | contract.SoraMethod
    | contract.LearnableRankMethod
    | contract.UniformMethod
    | contract.TopLayersMethod
    | contract.RandomMethod
)
#: Runs a proposal's method, (problem, method, draw).
Find = Callable[[SearchProblem, Proposal, int], Found]

#: Held-out rows that a round is decided on, at most.
ROWS = 1024
#: An entrant so many standard errors behind the best is out, even in the better half.
DOUBT = 2.0


@dataclass(frozen=True)
class Entrant:
    """A structure at a learning rate; `proposal` says whose it is."""

    proposal: str
    structure: Structure
    learning_rate: float


def search_race(problem: SearchProblem, spec: contract.RaceMethod, name: str, find: Find) -> Found:
    """Asks for the proposals, runs the rounds, and gives the winner's structure with its rate.

    Raises TrialError where the proposals' searches leave less than a step for every entrant of a round.
    """
    held_out = problem.held_out(spec.held_out)
    held_out = held_out[:: -(-len(held_out) // ROWS)]
    cost = RaceCost(problem, spec.fits)
    expected = sum(cost.expected(method) for method in spec.proposals)
    if expected >= spec.fits:
        raise TrialError(
            f"{name}: the searches of its proposals cost {expected:.2g} fits, all of the {spec.fits:g} it may cost",
            mend="Raise the method's fits, or shorten a proposal's search by its epochs.",
        )
    seeing = problem.without(held_out)
    entrants = _entrants(seeing, spec, find, cost)
    rounds: list[contract.RaceRound] = []
    left = rounds_of(len(entrants))
    while left > 0:
        steps, count = cost.round(len(entrants), left, len(held_out))
        number = len(rounds) + 1
        if steps < 1:
            raise TrialError(
                f"{name}: round {number} has {len(entrants)} entrants, and of {spec.fits:g} fits"
                f" {cost.left:.2g} are left, less than a step for each",
                mend="Raise the method's fits, or give it fewer proposals or rateFactors.",
            )
        rows = held_out[:: -(-len(held_out) // count)]
        losses = [
            _run(problem, seeing, entrant, steps, rows, f"{number}-{place}", cost)
            for place, entrant in enumerate(entrants)
        ]
        result = judge(torch.stack(losses), [problem.corpus.task_ids[row] for row in rows])
        rounds.append(_record(entrants, result, steps, len(rows)))
        if not any(map(math.isfinite, result.loss)):
            raise TrialError(
                f"{name}: no entrant of round {number} ended with a finite loss",
                mend="Lower training.learningRate, the proposals' own rates, or the method's rateFactors.",
            )
        entrants = [entrant for entrant, kept in zip(entrants, result.kept, strict=True) if kept]
        left = rounds_of(len(entrants))
    winner = entrants[0]
    race = contract.Race(version=1, fits=cost.spent, limit=spec.fits, held_out=len(held_out), rounds=rounds)
    structure = replace(winner.structure, method=name)
    return Found(structure, steps=cost.steps_taken, learning_rate=winner.learning_rate, race=race)


@dataclass(frozen=True)
class Judged:
    """Of each entrant: L, D, SE, and whether it goes on."""

    loss: list[float]
    behind: list[float]
    error: list[float]
    kept: list[bool]


def judge(losses: Tensor, tasks: Sequence[int]) -> Judged:
    """The module's rule for losses (entrants, rows), rows of the tasks `tasks` (rows,)."""
    owners = torch.tensor(tasks)
    parts = [losses[:, owners == task] for task in sorted(set(tasks))]
    means = torch.stack([part.mean(1) for part in parts]).mean(0)
    # An entrant whose loss is not finite is last.
    means = torch.where(means.isfinite(), means, torch.inf)
    order = means.argsort(stable=True).tolist()
    best = order[0]
    apart = [part - part[best] for part in parts]
    behind = torch.stack([part.mean(1) for part in apart]).mean(0)
    spread = [part.var(1) / part.shape[1] if part.shape[1] > 1 else torch.zeros(len(part)) for part in apart]
    error = torch.stack(spread).sum(0).sqrt() / len(parts)
    half = set(order[: -(-len(order) // 2)]) if len(order) > 1 else {best}
    kept = [
        place == best or (place in half and bool(behind[place] <= DOUBT * error[place])) for place in range(len(losses))
    ]
    return Judged(means.tolist(), behind.tolist(), error.tolist(), kept)


def rounds_of(entrants: int) -> int:
    """Rounds of halving until one is left."""
    return math.ceil(math.log2(entrants)) if entrants > 1 else 0


def _entrants(problem: SearchProblem, spec: contract.RaceMethod, find: Find, cost: RaceCost) -> list[Entrant]:
    """Every proposed structure at every rate; structures that are the same run once."""
    rate = problem.training.learning_rate
    found: dict[object, tuple[str, Structure, float]] = {}
    for index, method in enumerate(spec.proposals):
        own = method.learning_rate or rate
        own_problem = replace(
            problem,
            training=problem.training.model_copy(update={"learning_rate": own}),
            checkpoint=None if problem.checkpoint is None else _Under(problem.checkpoint, f"search/proposal-{index}"),
            report=cost.reporter(problem.report),
            # A trial's gates are those that led to its structure, and the winner's may be another proposal's.
            follow=None,
        )
        draws = method.draws if isinstance(method, contract.RandomMethod) else 1
        for draw in range(draws):
            proposed = find(own_problem, method, draw)
            cost.searched(method, proposed.steps)
            label = str(method.name or method.method) + (f"-draw{draw}" if draws > 1 else "")
            structure = proposed.structure
            key = (tuple(candidate.id for candidate in structure.candidates), structure.rows)
            found.setdefault(key, (label, structure, own))
    return [
        Entrant(label, structure, own * factor)
        for label, structure, own in found.values()
        for factor in spec.rate_factors
    ]


def _run(
    problem: SearchProblem,
    seeing: SearchProblem,
    entrant: Entrant,
    steps: int,
    held_out: Sequence[int],
    loop: str,
    cost: RaceCost,
) -> Tensor:
    """A fit of the entrant on the rows that `seeing` has, and its losses on those it has not."""
    training = problem.training.model_copy(update={"learning_rate": entrant.learning_rate, "max_steps": steps})
    own = replace(seeing, training=training, report=cost.reporter(problem.report))
    pool = AdapterPool(entrant.structure.candidates, problem.space.kinds, problem.seed)
    model = AdaptedModel(problem.backbone, pool, own.new_heads(), training.pooling, problem.execution)
    model.to(problem.backbone.device)
    gates = FixedGates(entrant.structure.gates().to(problem.backbone.device))
    try:
        # More epochs than the steps need: `max_steps` ends the fit.
        own.train(model, gates, epochs=steps, loop=f"search/{loop}")
    except TrialError:
        # A rate at which the loss is not finite has lost.
        return torch.full((len(held_out),), torch.inf, dtype=torch.float64)
    finally:
        cost.fitted(steps, len(held_out))
    return row_losses(problem, model, gates.open(0, 1), held_out)


def _record(entrants: Sequence[Entrant], result: Judged, steps: int, rows: int) -> contract.RaceRound:
    return contract.RaceRound(
        steps=steps,
        rows=rows,
        entrants=[
            contract.Entrant(
                proposal=entrant.proposal,
                learning_rate=entrant.learning_rate,
                parameters=entrant.structure.union,
                loss=loss,
                behind=behind,
                standard_error=error,
                kept=kept,
            )
            for entrant, loss, behind, error, kept in zip(
                entrants, result.loss, result.behind, result.error, result.kept, strict=True
            )
        ],
    )


class _Under(TrialCheckpoint):
    """The checkpoints of a proposal's search, under a name of its own."""

    def __init__(self, outer: TrialCheckpoint, name: str) -> None:
        self.warn = outer.warn
        self._outer, self._name = outer, name

    def of(self, loop: str) -> Checkpoint:
        """The checkpoint of the proposal's loop."""
        return self._outer.of(f"{self._name}/{loop}")
