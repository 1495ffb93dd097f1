"""Token gate (dynamic tuning): tokens that a dispatcher closes skip the MLP, and pass through a small adapter instead.

    h' = (1 - z (1 - m)) . MLP(x) + z s W_up f(W_down x)       m = 1[w . x + b > 0], a bit a token
    and to the loss   weight * (mean m - ratio)^2              over a pass's tokens under an open z, but first ones

x enters the MLP. The first token of a row is never skipped. In training m is drawn, 1[w . x + b + e > 0] with e
logistic, the MLP runs for all tokens, and m's gradient is that of sigmoid((w . x + b + e) / temperature), straight
through. Otherwise the MLP, with whatever else adapts it, runs for the tokens with m = 1 in fact, and its cost falls by
the share that is skipped. W_up = 0 and b = `start` > 0 at first: nothing is skipped outside training.

Source: Zhao et al., Dynamic Tuning, arXiv 2403.11808. Our readings: each site meets the ratio itself, by what its
dispatcher says without noise, so that the ratio holds after training; dispatcher and adapter read what enters the MLP,
which a model that norms first has normed, where the paper's read the residual before. The paper's second pass with all
tokens open, which the first is distilled from, is left out. Cost: size * (inputs + outputs) + inputs + 1, one unit a
site.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from espalier_runtime import contract
from espalier_runtime.adapters.base import Adapter, AdapterKind, Chunks, Hook, entry_of, unit_rows
from espalier_runtime.adapters.projections import activate
from espalier_runtime.adapters.tokens import Tokens
from espalier_runtime.backbone.sites import Site


@dataclass(frozen=True, kw_only=True)
class TokenGateKind(AdapterKind):
    """f by the name of its `activation`, s = `scale`; `size`: the adapter's width."""

    size: int
    ratio: float
    weight: float
    temperature: float
    start: float
    activation: str
    scale: float

    def parameters(self, site: Site, size: int) -> int:
        inputs = entry_of(site).inputs
        return size * (self.size * (inputs + site.outputs) + inputs + 1)

    def build(self, site: Site, chunks: Chunks, seed: int) -> TokenGate:
        return TokenGate(self, site, chunks, seed)


class _Pass(NamedTuple):
    """One pass through the MLP: its input x, z of each token (tokens, R) or None, and 1 - z (1 - m) (tokens, 1)."""

    x: Tensor
    z: Tensor | None
    open: Tensor


class TokenGate(Adapter):
    """dispatcher (R, inputs), bias (R,), down (R, size, inputs), up (R, outputs, size)."""

    unit_dimensions: ClassVar = {"dispatcher": 0, "bias": 0, "down": 0, "up": 0}
    kind: TokenGateKind

    def __init__(self, kind: TokenGateKind, site: Site, chunks: Chunks, seed: int) -> None:
        super().__init__(kind, site, chunks)
        inputs, units = entry_of(site).inputs, len(self.indices)
        self.dispatcher = nn.Parameter(torch.zeros(units, inputs))
        self.bias = nn.Parameter(torch.full((units,), float(kind.start)))
        rows = unit_rows(seed, site, kind.name, self.indices, kind.size, inputs)
        self.down = nn.Parameter(rows / math.sqrt(inputs))
        self.up = nn.Parameter(torch.zeros(units, site.outputs, kind.size))
        self._pass: _Pass | None = None
        self._kept: Tensor | None = None
        self._missed: Tensor | None = None

    def hooks(self) -> list[Hook]:
        ways_in = {self.site.beside[slot].module: slot for slot in ("mlp.gate", "mlp.up") if slot in self.site.beside}
        return [
            *(Hook(self.site.beside[slot], before=self.entering, outer=True) for slot in ways_in.values()),
            Hook(self.site, after=self, outer=True),
        ]

    def entering(self, x: Tensor) -> Tensor:
        """The tokens of x (batch, seq, inputs) that go through the MLP: all, or (1, K, inputs)."""
        # Gate and up of an MLP read the same x. Another x is another pass, whether the last came to its end or not.
        if self._pass is None or self._pass.x is not x:
            self._decide(x)
        return x if self._kept is None else self._told().narrow(x, self._kept)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:  # noqa: ARG002
        assert self._pass is not None
        entered, z, opened = self._pass
        if self._kept is not None:
            h = self._told().widen(h, entered.shape[:-1])
        self._pass, self._kept = None, None
        flat = entered.flatten(0, -2)
        inner = activate(self.kind.activation, torch.einsum("td,rsd->trs", flat, self.down))
        inner = inner if z is None else inner * z.unsqueeze(-1)
        added = self.kind.scale * torch.einsum("trs,rds->td", inner, self.up)
        return (h.flatten(0, -2) * opened + added).view(h.shape)

    def penalty(self) -> Tensor | None:
        missed, self._missed = self._missed, None
        return None if missed is None else self.kind.weight * missed.square().sum()

    def _decide(self, x: Tensor) -> None:
        told = self._told()
        logits = x.flatten(0, -2) @ self.dispatcher.t() + self.bias
        real, first = told.real(x), told.first(x).unsqueeze(-1)
        z = None if self.gates is None else told.each(self.gates.to(x.dtype), x)
        drawn = logits
        if self.training:
            uniform = torch.rand_like(logits).clamp(1e-6, 1 - 1e-6)
            drawn = logits + uniform.log() - (-uniform).log1p()
            self._missed = self._share(logits, z, real & ~first.squeeze(-1)) - self.kind.ratio
        self._kept = None
        m = self._bits(drawn).masked_fill(first, 1)
        opened = (m if z is None else 1 - z * (1 - m)).prod(-1, keepdim=True)
        self._pass = _Pass(x, z, opened)
        # A graph that is exported has one shape for all decisions, so that there every token goes through.
        if not self.training and not torch.compiler.is_compiling():
            runs = opened.squeeze(-1) > 0
            if bool((real & ~runs).any()):
                self._kept = (real & runs).nonzero().squeeze(-1)

    def _bits(self, logits: Tensor) -> Tensor:
        """1[logits > 0], with the gradient of sigmoid(logits / temperature)."""
        soft = torch.sigmoid(logits / self.kind.temperature)
        return (logits > 0).to(logits.dtype) + (soft - soft.detach())

    def _share(self, logits: Tensor, z: Tensor | None, counted: Tensor) -> Tensor:
        """(R,): the share of the `counted` tokens that each unit lets through, each as much as z opens the unit."""
        weights = counted.to(logits.dtype).unsqueeze(-1)
        weights = weights.expand_as(logits) if z is None else weights * z.detach()
        total = weights.sum(0)
        share = (self._bits(logits) * weights).sum(0) / total.clamp_min(1e-6)
        return torch.where(total > 0, share, self.kind.ratio)

    def _told(self) -> Tokens:
        assert self.tokens is not None
        return self.tokens


def token_gate(spec: contract.TokenGateKind) -> TokenGateKind:
    """The kind that `spec` describes."""
    return TokenGateKind(
        name="tokenGate",
        source="arXiv 2403.11808",
        equation="m MLP(x) + s W_up f(W_down x), m = 1[w . x + b > 0] a token",
        slots=("mlp",),
        reads="entry",
        couples=True,
        size=spec.size,
        ratio=spec.ratio,
        weight=spec.weight,
        temperature=spec.temperature,
        start=spec.start,
        activation=spec.activation,
        scale=spec.scale,
    )
