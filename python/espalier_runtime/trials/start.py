"""What a trial's fit begins with: the search's structure, or a baseline's target."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from espalier_runtime import contract
from espalier_runtime.backbone.heads import Head
from espalier_runtime.baselines.methods import Baseline, build
from espalier_runtime.baselines.target import Target
from espalier_runtime.errors import TrialError
from espalier_runtime.search.methods import Method, find_structure
from espalier_runtime.search.problem import Found, SearchProblem
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.structure import Structure
from espalier_runtime.training.checkpoint import TrialCheckpoint
from espalier_runtime.trials.gate_file import GateFile
from espalier_runtime.trials.prepare import Prepared

#: Every method of a plan: those that end in a structure, and the baselines that have none.
TrialMethod = Method | Baseline

#: Called with (stage, step, steps, loss); it may raise to cancel.
StageReport = Callable[[str, int, int, float | None], None]


def start_of(
    prepared: Prepared,
    trial: contract.Trial,
    method: TrialMethod,
    held_out: list[int],
    report: StageReport,
    checkpoint: TrialCheckpoint,
    gates: GateFile | None = None,
) -> tuple[Found | None, Target]:
    """What the fit of `trial` begins with, and the search that led there; a baseline has none.

    A search that learns gates tells `gates` of them as it goes.
    """
    problem = problem_of(prepared, trial, held_out, report, checkpoint, gates)
    if isinstance(method, Baseline):
        return None, build(problem, method)
    found = find_structure(problem, method, trial.draw)
    _check_limits(prepared, found.structure)
    return found, _target_of(found.structure, prepared, trial.seed)


def problem_of(
    prepared: Prepared,
    trial: contract.Trial,
    held_out: list[int],
    report: StageReport,
    checkpoint: TrialCheckpoint,
    gates: GateFile | None = None,
) -> SearchProblem:
    """What a method is given to work with."""
    seen = sorted(set(range(len(prepared.corpus))) - set(held_out))

    def new_heads(aside: Sequence[int] = (), *, probe: bool | None = None) -> list[tuple[str, Head]]:
        return prepared.new_heads([*held_out, *(seen[row] for row in aside)], probe=probe)

    corpus = prepared.corpus.without(held_out) if held_out else prepared.corpus
    return SearchProblem(
        backbone=prepared.backbone,
        space=prepared.space,
        limits=prepared.limits,
        tasks=prepared.names,
        corpus=corpus,
        training=prepared.plan.training,
        seed=trial.seed,
        new_heads=new_heads,
        report=lambda step, steps, loss: report("search", step, steps, loss),
        checkpoint=checkpoint,
        warn=checkpoint.warn,
        follow=None if gates is None else gates.follow,
    )


def _check_limits(prepared: Prepared, structure: Structure) -> None:
    missed = prepared.limits.over(structure.candidates).missed_by(range(len(structure.candidates)))
    if missed is not None:
        limit, cost = missed
        raise TrialError(
            f"{structure.method}: the structure misses budget.{limit.field}:"
            f" it costs {limit.said(cost)}, allowed are {limit.said(limit.most)}",
            mend=f"Raise budget.{limit.field}; if the method chose the structure itself, report it: that is a fault of"
            " Espalier.",
        )


def _target_of(structure: Structure, prepared: Prepared, seed: int) -> Target:
    """The structure's adapters, fresh, each task opening its own."""
    rows = structure.gates().to(prepared.backbone.device)
    return Target(
        adapters=AdapterPool(structure.candidates, prepared.space.kinds, seed),
        rows=None if bool((rows == 1).all()) else rows,
        parameters={task: structure.parameters(task) for task in structure.tasks},
        union=structure.union,
    )
