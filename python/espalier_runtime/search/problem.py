"""What every search is given and what it gives back."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from espalier_runtime import contract
from espalier_runtime.backbone.heads import Head
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.errors import TrialError
from espalier_runtime.structure.gates import Gates
from espalier_runtime.structure.limits import Limits
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import Candidate, Space
from espalier_runtime.structure.structure import Structure
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.training.checkpoint import Checkpoint, TrialCheckpoint, Warn
from espalier_runtime.training.execution import Execution, execution_of
from espalier_runtime.training.loop import Report, TrainReport, train
from espalier_runtime.training.model import AdaptedModel

#: Probabilities are kept at this many moments of a search, evenly spaced.
SNAPSHOTS = 50


class NewHeads(Protocol):
    """Makes fresh heads, (task name, head) in the order of the tasks."""

    def __call__(self, aside: Sequence[int] = (), *, probe: bool | None = None) -> Sequence[tuple[str, Head]]:
        """Heads that know nothing of the corpus' rows `aside`.

        `probe`: whether they start as fitted on frozen features; None leaves it to the training's own setting.
        """


@dataclass(frozen=True)
class SearchProblem:
    """`corpus` holds the training rows of all tasks.

    `kept` are candidates beside the space that are settled already, which `limits` count as spent; the logits of
    learned gates begin at `start` (tasks, candidates), or at zero. `checkpoint` keeps the search's loops; without it a
    search that is stopped starts anew. `follow` is told, before gates train, of the history that they
    will write and of the candidates that it is about.
    """

    backbone: Backbone
    space: Space
    limits: Limits
    tasks: tuple[str, ...]
    corpus: Corpus
    training: contract.Training
    seed: int
    new_heads: NewHeads
    report: Report
    kept: Structure | None = None
    start: Tensor | None = None
    checkpoint: TrialCheckpoint | None = None
    warn: Warn = warnings.warn
    follow: Callable[[GateHistory, Sequence[Candidate]], None] | None = None

    @property
    def budget(self) -> int:
        """The parameters that gates share out over the space."""
        return self.limits.spendable

    @property
    def lowest_layer(self) -> int:
        """The lowest layer that the space reaches: what the layers below it give is the same all search long."""
        return min(candidate.site.layer for candidate in self.space.candidates)

    @property
    def execution(self) -> Execution:
        """How the search's steps compute."""
        return execution_of(self.training, self.backbone.device)

    def costs(self) -> Tensor:
        """Parameters of each candidate, (candidates,)."""
        device = self.backbone.device
        return torch.tensor([float(c.parameters) for c in self.space.candidates], device=device)

    def model(self) -> AdaptedModel:
        """A model with the kept candidates and then every candidate of the space attached, and fresh heads."""
        kept = () if self.kept is None else self.kept.candidates
        pool = AdapterPool((*kept, *self.space.candidates), self.space.kinds, self.seed)
        model = AdaptedModel(self.backbone, pool, self.new_heads(), self.training.pooling, self.execution)
        return model.to(self.backbone.device)

    def sample(self, task: int, count: int) -> list[int]:
        """`count` rows of a task, drawn by the seed, or all where there are fewer."""
        rows = self.corpus.of_task(task)
        generator = torch.Generator().manual_seed(self.seed)
        return [rows[place] for place in torch.randperm(len(rows), generator=generator)[:count].tolist()]

    def without(self, rows: Sequence[int]) -> SearchProblem:
        """The problem of one who knows nothing of the corpus' `rows`: neither weights nor heads see them."""
        aside = set(rows)
        kept = [row for row in range(len(self.corpus)) if row not in aside]

        def heads(aside: Sequence[int] = (), *, probe: bool | None = None) -> Sequence[tuple[str, Head]]:
            return self.new_heads([*rows, *(kept[row] for row in aside)], probe=probe)

        return replace(self, corpus=self.corpus.without(rows), new_heads=heads)

    def of_last(self, layers: int | None) -> SearchProblem:
        """The same over the candidates of so many last layers; None: of all."""
        if layers is None:
            return self
        kept = self.space.of_last(layers, self.backbone.layers)
        space = self.space.within(kept)
        start = None if self.start is None else self.start[:, kept]
        return replace(self, space=space, limits=self.limits.over(space.candidates), start=start)

    def held_out(self, fraction: float) -> list[int]:
        """Rows of the corpus that a search may keep from its weights, `fraction` of each task's."""
        return self.corpus.held_out(fraction, self.seed)

    def train(
        self,
        model: AdaptedModel,
        gates: Gates,
        epochs: float | None,
        held_out: Sequence[int] = (),
        loop: str = "search",
        history: GateHistory | None = None,
    ) -> TrainReport:
        """The training loop over the search's rows, less those `held_out`.

        `loop` names its checkpoint; a search of several loops calls them "search/1", "search/2". `history` is what the
        gates write of themselves, for those who follow it.
        """
        if self.follow is not None and history is not None:
            self.follow(history, self.space.candidates)
        return train(
            model,
            self.corpus.without(held_out) if held_out else self.corpus,
            gates,
            self.training,
            seed=self.seed,
            epochs=epochs or self.training.epochs,
            report=self.report,
            warn=self.warn,
            checkpoint=Checkpoint() if self.checkpoint is None else self.checkpoint.of(loop),
        )


@dataclass
class GateHistory:
    """Snapshots of how far gates are open, and what is needed to notice that nothing was learned.

    A snapshot's values are probabilities, or of `hard` gates 0 and 1, which a budget may shut or open all together.
    `gradient`: the sum of all gates' gradients. `moved`: how far what is learned went, the largest change of each step
    summed; probabilities change without it, where a budget or a temperature comes down.
    """

    steps: list[int] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)
    gradient: float = 0.0
    moved: float = 0.0
    hard: bool = False

    def record(self, step: int, steps: int, values: Tensor) -> None:
        """Keeps `values` (tasks, candidates) if the step is one of the evenly spaced moments."""
        every = max(1, steps // SNAPSHOTS)
        if step % every == 0 or step == steps - 1:
            self.steps.append(step)
            self.values.append(values.detach().cpu().clone())

    def learned(self, gradient: Tensor, before: Tensor, after: Tensor) -> None:
        """Counts a step down `gradient`, by which what is learned went from `before` to `after`."""
        self.gradient += float(gradient.abs().sum())
        self.moved += float((after - before).abs().max())

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "values": self.values, "gradient": self.gradient, "moved": self.moved}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps, self.values = state["steps"], state["values"]
        self.gradient, self.moved = float(state["gradient"]), float(state["moved"])

    def weigh(self, step: int, shares: Tensor) -> None:
        """Multiplies what was kept of `step`, if anything was, by the shares (tasks, candidates) of the paths."""
        if self.steps and self.steps[-1] == step:
            self.values[-1] = self.values[-1] * shares.detach().cpu()

    def check(self, method: str) -> None:
        """Raises TrialError where gates got no gradient, never moved, or collapsed to all open or all shut."""
        if self.gradient == 0.0:
            raise TrialError(
                f"{method}: the gates got no gradient in the whole search",
                mend="Look for a head that is constant, labels that are all equal, or a learning rate of zero.",
            )
        if self.moved < 1e-6:
            raise TrialError(
                f"{method}: the gates never moved",
                mend="Search longer, or raise the method's gateLearningRate.",
            )
        last = self.values[-1]
        spread = float((last - last.mean()).abs().max())
        is_shut = float(last.max()) < 1e-3
        if not self.hard and (is_shut or (float(last.min()) > 1 - 1e-3 and spread < 1e-3)):
            state = "shut" if is_shut else "open"
            raise TrialError(
                f"{method}: every gate is {state} at the end of the search, so nothing distinguishes the candidates",
                mend="Lower the method's sparsity or gateLearningRate, or raise the budget.",
            )


class LearnedGates(Gates, Protocol):
    """Gates that say in the end how much each task wants each candidate."""

    history: GateHistory

    def scores(self) -> Tensor:
        """(tasks, candidates), between 0 and 1, comparable between tasks."""


@dataclass
class Found:
    """A structure, and for a search that trained, its weights and history over the candidates `searched`.

    `learning_rate`: what the structure is to be fitted at, where the search chose that too; `race`: how it was chosen;
    `controller`: what proposed it, and can propose others.
    `soft` (tasks, the model's candidates): the gates that the search ended with, where they were between 0 and 1;
    `under_soft`: the weights were trained under such gates, not under draws of 0 and 1.
    """

    structure: Structure
    model: AdaptedModel | None = None
    history: GateHistory | None = None
    steps: int = 0
    step_ms: float | None = None
    gates_above_half: int | None = None
    searched: tuple[Candidate, ...] | None = None
    learning_rate: float | None = None
    race: contract.Race | None = None
    controller: nn.Module | None = None
    soft: Tensor | None = None
    under_soft: bool = False
