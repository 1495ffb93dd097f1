"""The discrete answer: which candidates are chosen, and which task uses which of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.adapters.base import AdapterKind
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.backbone.sites import Site
from espalier_runtime.errors import InputError, TrialError
from espalier_runtime.structure.limits import Limits
from espalier_runtime.structure.space import Candidate, Space

#: A task keeps a chosen candidate if its own score is at least this share of the score of the task that wants it most.
KEEP_SHARE = 0.5


@dataclass(frozen=True)
class Structure:
    """`rows[t][i]`: how much of candidate i task t takes: 0 nothing, 1 all of it, between them a path's share in a mix.

    Every candidate is used by at least one task. `scores` like `rows`. `budget` is the limit in parameters, None where
    other limits alone hold.
    """

    method: str
    tasks: tuple[str, ...]
    budget: int | None
    candidates: tuple[Candidate, ...]
    rows: tuple[tuple[float, ...], ...]
    scores: tuple[tuple[float, ...], ...]

    @property
    def union(self) -> int:
        """Parameters of all chosen candidates."""
        return sum(candidate.parameters for candidate in self.candidates)

    def parameters(self, task: str) -> int:
        """Parameters of the candidates that `task` uses."""
        row = self.rows[self.tasks.index(task)]
        used = [candidate for candidate, share in zip(self.candidates, row, strict=True) if share]
        return sum(candidate.parameters - candidate.of_others for candidate in used)

    def gates(self) -> Tensor:
        """The rows as float32 (tasks, candidates)."""
        return torch.tensor(self.rows, dtype=torch.float32).view(len(self.tasks), len(self.candidates))

    def of_task(self, task: str) -> tuple[Candidate, ...]:
        """The candidates that `task` uses."""
        row = self.rows[self.tasks.index(task)]
        return tuple(candidate for candidate, used in zip(self.candidates, row, strict=True) if used)


def harden(
    scores: Tensor, space: Space, limits: Limits, tasks: Sequence[str], method: str, worth: Tensor | None = None
) -> Structure:
    """Fills greedily by the candidates' scores, best first, with whatever still fits under every limit.

    `scores` (tasks, candidates), comparable between tasks; a candidate counts with its highest. Equal scores go to the
    cheaper, then to the higher layer. Of the depths that backward may reach the one is taken whose fill captures the
    most `worth` (candidates,): by default score times parameters, which for probabilities is the share of the spent
    budget that survives. Raises TrialError where a score is not finite.
    """
    if not bool(torch.isfinite(scores).all()):
        raise TrialError(
            f"{method}: a candidate's score is not finite, so the candidates cannot be ranked",
            mend="Lower training.learningRate, and the method's gateLearningRate where it has one.",
        )
    best = scores.amax(0)
    order = sorted(
        range(len(space.candidates)),
        key=lambda i: (
            -float(best[i]),
            space.candidates[i].parameters,
            -space.candidates[i].site.layer,
            space.candidates[i].id,
        ),
    )
    sizes = torch.tensor([float(candidate.parameters) for candidate in space.candidates])
    captured = (best * sizes if worth is None else worth).double()
    chosen = limits.best_fill(order, lambda fill: float(captured[fill].sum()))
    keep = scores >= KEEP_SHARE * best
    return Structure(
        method=method,
        tasks=tuple(tasks),
        budget=limits.parameters,
        candidates=tuple(space.candidates[i] for i in chosen),
        rows=tuple(tuple(float(keep[t, i]) for i in chosen) for t in range(len(tasks))),
        scores=tuple(tuple(float(scores[t, i]) for i in chosen) for t in range(len(tasks))),
    )


def shared_by_all(chosen: Sequence[Candidate], limits: Limits, tasks: Sequence[str], method: str) -> Structure:
    """A structure whose candidates every task uses."""
    return Structure(
        method=method,
        tasks=tuple(tasks),
        budget=limits.parameters,
        candidates=tuple(chosen),
        rows=tuple(tuple(1.0 for _ in chosen) for _ in tasks),
        scores=tuple(tuple(1.0 for _ in chosen) for _ in tasks),
    )


def to_record(structure: Structure, backbone: Backbone, space: Space) -> contract.Structure:
    """The structure as it is written to structure.json."""
    largest: dict[str, int] = {}
    for candidate in space.candidates:
        key = f"{candidate.site.name}/{candidate.kind}"
        largest[key] = max(largest.get(key, 0), candidate.start + candidate.size)
    slots = list(dict.fromkeys(candidate.site.slot for candidate in space.candidates))
    return contract.Structure.model_validate(
        {
            "version": 1,
            "method": structure.method,
            "backbone": {
                "family": backbone.family,
                "layers": backbone.layers,
                "hidden": backbone.hidden,
                "slots": slots,
                "sites": largest,
            },
            "tasks": list(structure.tasks),
            "budget": structure.budget,
            "parameters": {
                "union": structure.union,
                "tasks": {task: structure.parameters(task) for task in structure.tasks},
            },
            "candidates": [
                {
                    "site": candidate.site.name,
                    "layer": candidate.site.layer,
                    "slot": candidate.site.slot,
                    "kind": candidate.kind,
                    "start": candidate.start,
                    "size": candidate.size,
                    "parameters": candidate.parameters,
                    "ofOthers": candidate.of_others,
                    "tasks": [task for t, task in enumerate(structure.tasks) if structure.rows[t][i]],
                    "scores": {task: structure.scores[t][i] for t, task in enumerate(structure.tasks)},
                    "path": candidate.path,
                    "weights": {
                        task: structure.rows[t][i]
                        for t, task in enumerate(structure.tasks)
                        if 0 < structure.rows[t][i] < 1
                    },
                }
                for i, candidate in enumerate(structure.candidates)
            ],
        }
    )


def from_record(record: contract.Structure, sites: Sequence[Site], kinds: Mapping[str, AdapterKind]) -> Structure:
    """The structure that a structure.json holds, on a backbone with `sites`.

    Raises InputError where the backbone lacks one of its sites, or `kinds` one of its kinds as it was.
    """
    return Structure(
        method=record.method,
        tasks=tuple(record.tasks),
        budget=record.budget,
        candidates=tuple(_candidate(entry, record, sites, kinds) for entry in record.candidates),
        rows=tuple(
            tuple(entry.weights.get(task, 1.0) if task in entry.tasks else 0.0 for entry in record.candidates)
            for task in record.tasks
        ),
        scores=tuple(tuple(float(entry.scores.get(task, 0.0)) for entry in record.candidates) for task in record.tasks),
    )


def _candidate(
    entry: contract.Chosen, record: contract.Structure, sites: Sequence[Site], kinds: Mapping[str, AdapterKind]
) -> Candidate:
    site = next((site for site in sites if site.name == entry.site), None)
    if site is None:
        raise InputError(
            f'structure: the backbone has no site "{entry.site}"',
            mend="Use the structure with the backbone family it was learned on.",
        )
    if entry.kind not in kinds:
        raise InputError(
            f'structure: it holds the kind "{entry.kind}", which is not among {", ".join(kinds)}',
            mend="Add the kind to space.kinds.",
        )
    kind = kinds[entry.kind]
    most = record.backbone.sites.get(f"{entry.site}/{entry.kind}", kind.sizes[-1])
    if kind.shares_out and most != kind.sizes[-1]:
        raise InputError(
            f'structure: its {entry.kind} at "{entry.site}" has units of {most} at most, those of this space are of'
            f" {kind.sizes[-1]}, and stand for other parts of the site",
            mend=f"Give the kind sizes up to {most} in space.kinds.",
        )
    starts = [0, *kind.sizes]
    within = entry.start - entry.path * kind.sizes[-1]
    level = entry.path * len(kind.sizes) + (starts.index(within) if within in starts else 0)
    return Candidate.of(kind, site, entry.start, entry.size, level, entry.path)
