"""The model that is trained: a frozen backbone, a pool of adapters, and one head a task."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from espalier_runtime.backbone.depth import pooled_layers
from espalier_runtime.backbone.heads import Head, Pooling
from espalier_runtime.backbone.layout import Layout
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.backbone.one_token import OneToken, one_token, reading
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.tasks.corpus import Batch, Corpus
from espalier_runtime.training.adaptation import Adaptation
from espalier_runtime.training.checkpoint import Stateful
from espalier_runtime.training.execution import Execution
from espalier_runtime.training.objectives import OBJECTIVES, Objective, Reading


class AdaptedModel(nn.Module):
    """Outputs and losses of mixed-task batches; run it inside `adapters.attached(backbone.model)`."""

    adapters: Adaptation

    def __init__(
        self,
        backbone: Backbone,
        adapters: Adaptation,
        heads: Sequence[tuple[str, Head]],
        pooling: Pooling,
        execution: Execution = Execution(),  # noqa: B008
    ) -> None:
        """`heads` are (task name, head) in the order of the corpus's task ids; `execution`: of training steps."""
        super().__init__()
        self.backbone = backbone
        self.adapters = adapters
        self.heads = nn.ModuleDict({name.replace(".", "/"): head for name, head in heads})
        self.pooling: Pooling = pooling
        self.execution = execution
        self._training_states = execution.states(backbone)

    @property
    def pool(self) -> AdapterPool:
        """The adapters of a structure or a space."""
        assert isinstance(self.adapters, AdapterPool)
        return self.adapters

    def head(self, task: int) -> Head:
        """The head of the task with this id."""
        head = list(self.heads.values())[task]
        assert isinstance(head, Head)
        return head

    def readable(self, corpus: Corpus, beside: int | None = None) -> Corpus:
        """`corpus` in batches as the adapters can take them, and from where on something is adapted.

        `beside`: the lowest layer of what else is attached to the backbone; None where nothing is.
        Compiled steps take padded batches and the whole model: else every batch would be a shape of its own. Heads that
        mix layers read those below too, and under dropout no two states below are alike.
        """
        if self.execution.compiled:
            return corpus.padded()
        laid = corpus if self.adapters.packs else corpus.padded()
        attached = [layer for layer in (self.adapters.lowest_layer, beside) if layer is not None]
        if not attached or self.mixes or self.execution.dropout or not self.backbone.form.starts:
            return laid
        return laid.starting_at(min(attached))

    def objective(self, task: int) -> Objective:
        """How the rows of the task with this id are trained and judged."""
        return OBJECTIVES[self.head(task).kind]

    def reading(self, batch: Batch, gates: Tensor | None, *, training: bool = False, mixed: bool = True) -> Reading:
        """What the adapted backbone makes of the batch; `gates` (tasks, candidates), None for all open.

        A batch that carries frozen features needs no backbone: nothing is adapted then. Outside of `training` they are
        computed in float32, as an exported adapter computes them. `mixed` False: the last layer's, whatever heads read.
        """
        if batch.features is not None:
            return Reading(batch, None, self.pooling, self._mixed(batch.features, batch.sequence_tasks))
        layout, deep = batch.inputs.layout, self.mixes and mixed
        one = None if deep else self._one_token(batch, training)
        self.open(gates, batch.sequence_tasks, layout, frozenset() if one is None else one.modules)
        if deep:
            layers = pooled_layers(self.backbone, batch.inputs, self.pooling)
            return Reading(batch, None, self.pooling, self._mixed(layers, batch.sequence_tasks))
        states = self._training_states if training else self.backbone.states
        with reading(self.backbone.model, one):
            found = states(batch.inputs)
        return Reading(batch, found.float() if training else found, self.pooling)

    def open(
        self, gates: Tensor | None, tasks: Tensor, layout: Layout | None, one_token: frozenset[str] = frozenset()
    ) -> None:
        """Sets the gates (tasks, candidates) for sequences of these `tasks` (sequences,), as `layout` lays them.

        `one_token`: the modules that see one token a sequence.
        """
        # A single row holds for all, whatever their number.
        rows = gates if gates is None or len(gates) == 1 else gates.index_select(0, tasks)
        if isinstance(self.adapters, AdapterPool):
            self.adapters.use(rows, tasks, layout, one_token)
        else:
            self.adapters.use(rows, tasks, layout)

    def pooled(self, batch: Batch, gates: Tensor | None, *, mixed: bool = True) -> Tensor:
        """What the heads read, pooled states (sequences, hidden); `gates` and `mixed` as in `reading`."""
        return self.reading(batch, gates, mixed=mixed).pooled(range(len(batch.task_ids)))

    def _one_token(self, batch: Batch, training: bool) -> OneToken | None:
        """What of the last layer need not run for all tokens, of which a completion reads several."""
        # A checkpointed layer runs again in backward, when the context is over.
        if not self.execution.one_token or (training and self.execution.checkpointing):
            return None
        if not isinstance(self.adapters, AdapterPool) or any(batch.completions):
            return None
        one = one_token(self.backbone, batch.inputs.layout, self.pooling)
        return one if one is not None and self.adapters.bears(one.modules) else None

    @property
    def mixes(self) -> bool:
        """Whether the heads read a mix of all layers."""
        return any(self.head(task).depth is not None for task in range(len(self.heads)))

    def _mixed(self, states: Tensor, tasks: Tensor) -> Tensor:
        """What the head of each sequence's task (sequences,) reads, (sequences, hidden)."""
        if not self.mixes:
            return states
        each = [self.head(task).layer_shares() for task in range(len(self.heads))]
        shares = torch.stack([entry for entry in each if entry is not None]).to(states.dtype)
        return torch.einsum("bl,blh->bh", shares.index_select(0, tasks), states)

    def losses(self, batch: Batch, gates: Tensor | None) -> Tensor:
        """One loss a row, (batch,), as the objective of the row's task counts it."""
        with self.execution.of(self.backbone, self.adapters.lowest_layer):
            found = self.reading(batch, gates, training=True)
        losses = torch.zeros(len(batch.task_ids), device=batch.task_ids.device)
        for task in sorted(set(batch.task_ids.tolist())):
            rows = (batch.task_ids == task).nonzero().squeeze(1)
            part = self.objective(task).losses(self.head(task), found, rows.tolist())
            losses = losses.index_copy(0, rows, part.to(losses.dtype))
        return losses

    def penalty(self) -> Tensor | None:
        """What the adapters add to the loss after a forward, a number; None where they add nothing."""
        return self.adapters.penalty() if isinstance(self.adapters, AdapterPool) else None

    def alone(self, task: int, gates: Tensor | None) -> tuple[AdaptedModel, Tensor | None]:
        """The model and gates of a task that runs nothing but its own adapters: what others use is not there.

        `gates` (tasks, candidates). The adapters' weights are copies.
        """
        if gates is None or not isinstance(self.adapters, AdapterPool):
            return self, gates
        used = gates[task].nonzero().squeeze(1)
        heads = [(name, self.head(index)) for index, name in enumerate(self.heads)]
        own = AdaptedModel(self.backbone, self.adapters.part(used.tolist()), heads, self.pooling)
        return own, None if bool((gates[task, used] == 1).all()) else gates[:, used]

    @torch.no_grad()
    def outputs(self, batch: Batch, gates: Tensor | None) -> Tensor:
        """What the model says to each row, (batch, columns), by the objective of the task that all belong to."""
        task = int(batch.task_ids[0])
        return self.objective(task).outputs(self.head(task), self.reading(batch, gates), range(len(batch.task_ids)))

    def trained(self) -> list[nn.Parameter]:
        """What the optimiser moves: adapters and heads, never the backbone."""
        return [*self.adapters.parameters(), *self.heads.parameters()]

    def parts(self) -> dict[str, Stateful]:
        """What later steps depend on beside the weights, for checkpoints."""
        return {}

    def stepped(self, step: int, steps: int) -> None:
        """The optimiser has moved at `step` of `steps`, and the gradients still stand."""
