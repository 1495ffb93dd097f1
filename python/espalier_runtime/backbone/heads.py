"""Heads: what turns the backbone's hidden states into a task's outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from espalier_runtime.backbone.layout import Layout
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.tasks.task import TaskKind

Pooling = Literal["mean", "first", "last"]

#: What the logits of a mix of layers are multiplied by.
DEPTH_SCALE = 10.0


def pool(states: Tensor, layout: Layout, pooling: Pooling) -> Tensor:
    """(batch, hidden) from states as `layout` lays them: the mean over a row's tokens, or its first or last."""
    match pooling:
        case "first":
            return layout.first(states)
        case "last":
            return layout.last(states)
        case "mean":
            return layout.mean(states)


def balanced(labels: Tensor, classes: int) -> Tensor:
    """Weights (classes,) of class indices `labels`: rows / (classes * rows of the class), 0 for a class without rows.

    Over `labels` they add up to the number of rows that a plain mean counts.
    """
    counts = torch.bincount(labels, minlength=classes).float()
    return torch.where(counts > 0, len(labels) / ((counts > 0).sum() * counts.clamp_min(1)), 0.0)


class Head(nn.Module):
    """y = W h + b of a pooled state h (batch, hidden) -> (batch, outputs); one output for a value or a choice.

    Regression outputs are in units of the training labels' standard deviation: `location` and `scale` carry
    them back. Weights start at zero, so that at first every class is equally likely.

    A head that mixes layers reads  h = sum_l w_l h_l,  w = softmax(10 v),  of the states h_l of every layer: the idea
    of arXiv 2506.11823, whose mix is per position. v, its `depth`, starts at zero, so that all layers count alike; the
    10 lets w follow at the learning rate of the other weights.
    """

    location: Tensor
    scale: Tensor
    class_weights: Tensor | None
    depth: nn.Parameter | None

    def __init__(
        self,
        hidden: int,
        outputs: int,
        location: float = 0.0,
        scale: float = 1.0,
        class_weights: Tensor | None = None,
        label_smoothing: float = 0.0,
        layers: int | None = None,
        kind: TaskKind | None = None,
    ) -> None:
        """`class_weights` (outputs,) and `label_smoothing` shape a classification's loss, and nothing else.

        `layers`: how many layers' states it mixes; None: it reads one. `kind` of the task; None: a regression where
        there is one output, else a classification.
        """
        super().__init__()
        self.kind: TaskKind = kind or ("regression" if outputs == 1 else "classification")
        self.linear = nn.Linear(hidden, outputs)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.register_buffer("location", torch.tensor(location))
        self.register_buffer("scale", torch.tensor(scale))
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.label_smoothing = label_smoothing
        self.register_parameter("depth", None if layers is None else nn.Parameter(torch.zeros(layers)))

    def layer_shares(self) -> Tensor | None:
        """w (layers,), which sum to 1; None of a head that reads one layer."""
        return None if self.depth is None else torch.softmax(DEPTH_SCALE * self.depth, 0)

    def mixed(self, states: Tensor) -> Tensor:
        """h (batch, hidden) of pooled states (batch, layers, hidden); those of one layer stay as they are."""
        shares = self.layer_shares()
        return states if shares is None else torch.einsum("l,blh->bh", shares.to(states.dtype), states)

    @property
    def size(self) -> int:
        """How many outputs it has."""
        return self.linear.out_features

    def forward(self, pooled: Tensor) -> Tensor:
        output: Tensor = self.linear(pooled)
        return output

    def losses(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """One loss a row, (batch,): cross-entropy, or the squared error in standard deviations of the labels."""
        if outputs.shape[1] == 1:
            return (outputs.squeeze(1) - (labels.float() - self.location) / self.scale).square()
        return functional.cross_entropy(
            outputs, labels.long(), self.class_weights, reduction="none", label_smoothing=self.label_smoothing
        )

    def values(self, pooled: Tensor) -> Tensor:
        """Logits (batch, classes), or a regression's values (batch, 1) in the units of its labels."""
        outputs: Tensor = self(pooled)
        return outputs * self.scale + self.location if outputs.shape[1] == 1 else outputs

    @property
    def unit(self) -> float:
        """Of what size `values` are: 1 for logits, |location| + scale for a regression."""
        return float(self.location.abs() + self.scale) if self.linear.out_features == 1 else 1.0

    @torch.no_grad()
    def start_from_probe(self, features: Tensor, labels: Tensor, kind: str) -> None:
        """Fits the weights on frozen features by scikit-learn's logistic or ridge regression.

        They are (rows, hidden), or (rows, layers, hidden) where the head mixes layers. A class that no row has is as
        unlikely at every row, exp(-b) = their number; where all rows are of one class, the head is left as it is.
        """
        from sklearn.linear_model import LogisticRegression, Ridge

        inputs = self.mixed(features).double().cpu().numpy()
        there = list(range(self.linear.out_features))
        if kind == "regression":
            targets = ((labels.double().cpu() - self.location.cpu()) / self.scale.cpu()).numpy()
            ridge = Ridge(alpha=1.0).fit(inputs, targets)
            weight, bias = torch.tensor(ridge.coef_).view(1, -1), torch.tensor([float(ridge.intercept_)])
        else:
            there = sorted({int(label) for label in labels})
            if len(there) == 1:
                return
            weights = None if self.class_weights is None else self.class_weights.cpu()[labels.long().cpu()].numpy()
            logistic = LogisticRegression(max_iter=1000).fit(inputs, labels.cpu().numpy(), sample_weight=weights)
            weight, bias = torch.tensor(logistic.coef_), torch.tensor(logistic.intercept_)
            if weight.shape[0] == 1:  # two classes: scikit-learn keeps the difference of the two logits
                weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
        self.linear.weight.zero_()
        self.linear.bias.fill_(-math.log(len(labels)))
        self.linear.weight[there], self.linear.bias[there] = weight.to(self.linear.weight), bias.to(self.linear.bias)

    @torch.no_grad()
    def start_from_choices(self, features: Tensor, counts: Sequence[int], labels: Tensor) -> None:
        """Fits the weights on frozen features (candidates[, layers], hidden) of rows of `counts` candidates each.

        A logistic regression tells the right candidate, whose place is the label, from the others by its difference
        from their mean, as only differences decide.
        """
        from sklearn.linear_model import LogisticRegression

        rows = torch.split(self.mixed(features).double().cpu(), list(counts))
        inputs = torch.cat([row - row.mean(0) for row in rows]).numpy()
        right = torch.cat([torch.arange(count) == int(label) for count, label in zip(counts, labels, strict=True)])
        fitted = LogisticRegression(max_iter=1000, fit_intercept=False).fit(inputs, right.numpy())
        self.linear.weight.copy_(torch.tensor(fitted.coef_))


class LanguageHead(Head):
    """The frozen language head of a decoder: hidden states (tokens, hidden) -> logits (tokens, vocabulary).

    It has no weights of its own, so that none are trained or saved.
    """

    def __init__(self, language: Any) -> None:
        """`language`: the causal language model that the backbone is the body of."""
        nn.Module.__init__(self)
        self.kind = "generation"
        self.register_parameter("depth", None)
        # In a tuple, which keeps it from being one of the modules.
        self._language = (language,)

    @property
    def unit(self) -> float:
        return 1.0

    @property
    def size(self) -> int:
        (language,) = self._language
        return int(language.config.vocab_size)

    def forward(self, states: Tensor) -> Tensor:
        (language,) = self._language
        logits: Tensor = language.get_output_embeddings()(states)
        cap = getattr(language.config, "final_logit_softcapping", None)
        return logits if cap is None else cap * torch.tanh(logits / cap)


def unfitted_head(kind: TaskKind, labels: Sequence[str], backbone: Backbone, layers: int | None = None) -> Head:
    """A fresh head of a task of this kind with these class names; `layers` as in `Head`, a language head mixes none."""
    if kind == "generation":
        return LanguageHead(backbone.language)
    return Head(backbone.hidden, max(1, len(labels)), layers=layers, kind=kind)
