"""The model that is trained: a frozen backbone, a pool of adapters, and one head a task."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from espalier_runtime.backbone.depth import pooled_layers
from espalier_runtime.backbone.heads import Head, Pooling, pool
from espalier_runtime.backbone.layout import Layout
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.backbone.one_token import OneToken, one_token, reading
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.tasks.corpus import Batch, Corpus
from espalier_runtime.training.adaptation import Adaptation
from espalier_runtime.training.checkpoint import Stateful
from espalier_runtime.training.execution import Execution


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

    def readable(self, corpus: Corpus) -> Corpus:
        """`corpus` in batches as the adapters can take them, and from where on something is adapted.

        Compiled steps take padded batches and the whole model: else every batch would be a shape of its own. Heads that
        mix layers read those below too.
        """
        if self.execution.compiled:
            return corpus.padded()
        laid = corpus if self.adapters.packs else corpus.padded()
        lowest = self.adapters.lowest_layer
        if lowest is None or self.mixes or not self.backbone.form.starts:
            return laid
        return laid.starting_at(lowest)

    def pooled(self, batch: Batch, gates: Tensor | None, *, training: bool = False, mixed: bool = True) -> Tensor:
        """What the heads read, pooled states (batch, hidden); `gates` (tasks, candidates), None for all open.

        A batch that carries frozen features needs no backbone: nothing is adapted then. Outside of `training` they are
        computed in float32, as an exported adapter computes them. `mixed` False: the last layer's, whatever heads read.
        """
        if batch.features is not None:
            return self._mixed(batch.features, batch.task_ids)
        layout = batch.inputs.layout
        # A single row holds for all, whatever their number.
        rows = gates if gates is None or len(gates) == 1 else gates.index_select(0, batch.task_ids)
        deep = self.mixes and mixed
        one = None if deep else self._one_token(layout, training)
        if isinstance(self.adapters, AdapterPool):
            self.adapters.use(rows, batch.task_ids, layout, frozenset() if one is None else one.modules)
        else:
            self.adapters.use(rows, batch.task_ids, layout)
        if deep:
            return self._mixed(pooled_layers(self.backbone, batch.inputs, self.pooling), batch.task_ids)
        states = self._training_states if training else self.backbone.states
        with reading(self.backbone.model, one):
            return pool(states(batch.inputs), layout, self.pooling)

    def _one_token(self, layout: Layout, training: bool) -> OneToken | None:
        """What of the last layer need not run for all tokens."""
        # A checkpointed layer runs again in backward, when the context is over.
        if not self.execution.one_token or (training and self.execution.checkpointing):
            return None
        if not isinstance(self.adapters, AdapterPool):
            return None
        one = one_token(self.backbone, layout, self.pooling)
        return one if one is not None and self.adapters.bears(one.modules) else None

    @property
    def mixes(self) -> bool:
        """Whether the heads read a mix of all layers."""
        return any(self.head(task).depth is not None for task in range(len(self.heads)))

    def _mixed(self, states: Tensor, task_ids: Tensor) -> Tensor:
        """What each row's head reads, (batch, hidden)."""
        if not self.mixes:
            return states
        each = [self.head(task).layer_shares() for task in range(len(self.heads))]
        shares = torch.stack([entry for entry in each if entry is not None]).to(states.dtype)
        return torch.einsum("bl,blh->bh", shares.index_select(0, task_ids), states)

    def losses(self, batch: Batch, gates: Tensor | None) -> Tensor:
        """One loss a row, (batch,), as the head of the row's task counts it."""
        with self.execution.of(self.backbone, self.adapters.lowest_layer):
            pooled = self.pooled(batch, gates, training=True).float()
        losses = pooled.new_zeros(pooled.shape[0])
        for task in sorted(set(batch.task_ids.tolist())):
            rows = (batch.task_ids == task).nonzero().squeeze(1)
            head = self.head(task)
            part = head.losses(head(pooled.index_select(0, rows)), batch.labels.index_select(0, rows))
            losses = losses.index_copy(0, rows, part)
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
        """Logits (batch, classes), or the predicted values (batch, 1); all rows belong to one task."""
        return self.head(int(batch.task_ids[0])).values(self.pooled(batch, gates))

    def trained(self) -> list[nn.Parameter]:
        """What the optimiser moves: adapters and heads, never the backbone."""
        return [*self.adapters.parameters(), *self.heads.parameters()]

    def parts(self) -> dict[str, Stateful]:
        """What later steps depend on beside the weights, for checkpoints."""
        return {}

    def stepped(self, step: int, steps: int) -> None:
        """The optimiser has moved at `step` of `steps`, and the gradients still stand."""
