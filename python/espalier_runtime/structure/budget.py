"""The exact budget: probabilities that spend it to the last parameter, and the gradient that keeps it so.

With logits a (tasks, candidates), costs c and temperature tau:

    p[t,i] = sigmoid((a[t,i] - b) / tau),     b such that     sum_i c_i max_t p[t,i] = B

Tasks share one pool, so that a candidate costs once what the task that wants it most asks for; with one task this is
sum_i c_i p_i = B. By the implicit function theorem, with D = p (1 - p) / tau, m(i) the maximum's task and g = dL/dp:

    dL/da[t,j] = D[t,j] g[t,j] - [t = m(j)] c_j D[m(j),j] * (sum_ti g[t,i] D[t,i]) / (sum_k c_k D[m(k),k])

A step along it leaves the spent budget unchanged to first order, and solving for b anew makes it exact.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def spend(logits: Tensor, costs: Tensor, budget: float | None, temperature: float) -> Tensor:
    """Probabilities p (tasks, candidates) of logits (tasks, candidates) that spend `budget` exactly.

    `costs` (candidates,) in parameters. `budget` None is unlimited: b = 0, which at tau = 1 is the paper's gate.
    """
    if budget is None:
        return torch.sigmoid(logits / temperature)
    total = float(costs.sum())
    if not 0 < budget < total:
        raise ValueError(f"a budget must be between 0 and the space's {total:g}, not {budget:g}")
    probabilities: Tensor = _Spend.apply(logits, costs, budget, temperature)  # type: ignore[no-untyped-call]
    return probabilities


def spent(probabilities: Tensor, costs: Tensor) -> float:
    """sum_i c_i max_t p[t,i], in parameters."""
    return float((costs.double() * probabilities.detach().double().amax(0)).sum())


def _shift(top: Tensor, costs: Tensor, budget: float, temperature: float) -> float:
    """b, by bisection."""
    # A few thousand numbers: asking a GPU a hundred times for one of them would take longer than all else.
    top, costs = top.cpu(), costs.cpu()
    # 60 temperatures beyond the outermost logit every gate is shut or open to 1e-26.
    low, high = float(top.min()) - 60 * temperature, float(top.max()) + 60 * temperature
    for _ in range(100):
        shift = (low + high) / 2
        if float((costs * torch.sigmoid((top - shift) / temperature)).sum()) > budget:
            low = shift
        else:
            high = shift
    return (low + high) / 2


class _Spend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, costs: Tensor, budget: float, temperature: float) -> Tensor:
        a, c = logits.double(), costs.double()
        top = a.amax(0)
        p = torch.sigmoid((a - _shift(top, c, budget, temperature)) / temperature)
        ctx.save_for_backward(p, c, a == top)
        ctx.temperature = temperature
        return p.to(logits.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        p, c, is_top = ctx.saved_tensors
        (given,) = gradients
        g = given.double()
        slope = p * (1 - p) / ctx.temperature
        # Tasks that share the maximum share its cost.
        at_top = slope * is_top / is_top.sum(0)
        price = (g * slope).sum() / (c * at_top).sum().clamp_min(1e-300)
        return (slope * g - c * at_top * price).to(given.dtype), None, None, None
