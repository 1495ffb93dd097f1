"""Heads: what turns the backbone's hidden states into a task's outputs."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from espalier_runtime.backbone.layout import Layout

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
    """y = W h + b of a pooled state h (batch, hidden) -> (batch, outputs); one output for regression.

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
    ) -> None:
        """`class_weights` (outputs,) and `label_smoothing` shape a classification's loss, and nothing else.

        `layers`: how many layers' states it mixes; None: it reads one.
        """
        super().__init__()
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

    @torch.no_grad()
    def start_from_probe(self, features: Tensor, labels: Tensor, kind: str) -> None:
        """Fits the weights on frozen features by scikit-learn's logistic or ridge regression.

        They are (rows, hidden), or (rows, layers, hidden) where the head mixes layers.
        """
        from sklearn.linear_model import LogisticRegression, Ridge

        inputs = self.mixed(features).double().cpu().numpy()
        if kind == "regression":
            targets = ((labels.double().cpu() - self.location.cpu()) / self.scale.cpu()).numpy()
            ridge = Ridge(alpha=1.0).fit(inputs, targets)
            weight, bias = torch.tensor(ridge.coef_).view(1, -1), torch.tensor([float(ridge.intercept_)])
        else:
            weights = None if self.class_weights is None else self.class_weights.cpu()[labels.long().cpu()].numpy()
            logistic = LogisticRegression(max_iter=1000).fit(inputs, labels.cpu().numpy(), sample_weight=weights)
            weight, bias = torch.tensor(logistic.coef_), torch.tensor(logistic.intercept_)
            if weight.shape[0] == 1:  # two classes: scikit-learn keeps the difference of the two logits
                weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
        self.linear.weight.copy_(weight)
        self.linear.bias.copy_(bias)
