"""AdaLoRA (Zhang et al., arXiv 2303.10512) by PEFT, with a schedule derived from the number of steps.

PEFT's model does nothing unless its trainer reports every step, knows the number of steps beforehand and adds the
regulariser of P and Q: here the loop does all three.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.backbone.sites import Site
from espalier_runtime.baselines.peft_methods import ADAPTER, PeftModules, largest
from espalier_runtime.errors import TrialError
from espalier_runtime.tasks.corpus import Batch
from espalier_runtime.training.checkpoint import Stateful
from espalier_runtime.training.model import AdaptedModel


class Allocator:
    """The memory of PEFT's rank allocation: importances and their running means, and the ranks it settled on."""

    FIELDS = ("ipt", "exp_avg_ipt", "exp_avg_unc")

    def __init__(self, tuner: Any) -> None:
        self._tuner = tuner

    def state_dict(self) -> dict[str, Any]:
        kept = {name: dict(getattr(self._tuner.rankallocator, name)) for name in self.FIELDS}
        return {**kept, "pattern": self._tuner.peft_config[ADAPTER].rank_pattern}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        device = next(self._tuner.parameters()).device
        for name in self.FIELDS:
            setattr(self._tuner.rankallocator, name, {key: value.to(device) for key, value in state[name].items()})
        self._tuner.peft_config[ADAPTER].rank_pattern = state["pattern"]


class AdaLora(PeftModules):
    """h + s P diag(E) Q x at each site; the least important entries of E are masked on a cubic schedule."""

    def __init__(
        self, backbone: Backbone, method: contract.AdaLoraMethod, sites: Sequence[Site], budget: int, seed: int
    ) -> None:
        from peft import AdaLoraConfig

        rank = method.rank or largest(budget, sum(site.inputs + site.outputs + 1 for site in sites))
        config = AdaLoraConfig(
            target_r=rank,
            init_r=max(rank + 1, round(method.start_factor * rank)),
            lora_alpha=method.scale * rank,
            lora_dropout=0.0,
            orth_reg_weight=method.orthogonality,
            target_modules=[site.module for site in sites],
            total_step=3,  # PEFT wants one above tinit + tfinal + deltaT; `stepped` sets the loop's own
            tinit=0,
            tfinal=0,
            deltaT=1,
        )
        super().__init__(backbone, config, sites, seed)
        self._method = method
        self.allocator = Allocator(self.tuner)

    def penalty(self) -> Tensor:
        """w * mean over all P and Q of |P^T P - I|, |Q Q^T - I| (Frobenius)."""
        distances = []
        for name, weight in self.weights.items():
            if "/lora_A/" in name or "/lora_B/" in name:
                product = weight @ weight.t() if "/lora_A/" in name else weight.t() @ weight
                distances.append(torch.linalg.norm(product - torch.eye(len(product), device=product.device)))
        return self._method.orthogonality * torch.stack(distances).mean()

    def stepped(self, step: int, steps: int) -> None:
        """Scores the triplets by the step's gradients and masks those below the schedule's budget.

        Call it after the optimiser's step and before its gradients are cleared.
        """
        config: Any = self.tuner.peft_config[ADAPTER]
        config.total_step = steps
        config.tinit = round(self._method.warmup * steps)
        config.tfinal = min(steps - config.tinit - 2, max(1, round(self._method.settled * steps)))
        if config.tfinal < 1:
            raise TrialError(
                f"adaLora: {steps} steps are too few for its warm-up, its masking and its settled phase",
                mend="Train longer, or lower the method's warmup and settled.",
            )
        self.tuner.update_and_allocate(step + 1)

    def get_extra_state(self) -> dict[str, Any]:
        """What a training that continues needs beside the weights: the triplets' scores, and which are masked."""
        scores = self.tuner.rankallocator
        pattern = self.tuner.peft_config[ADAPTER].rank_pattern
        return {"sensitivity": scores.exp_avg_ipt, "uncertainty": scores.exp_avg_unc, "kept": pattern or {}}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        scores, device = self.tuner.rankallocator, next(self.parameters()).device
        scores.exp_avg_ipt = {name: value.to(device) for name, value in state["sensitivity"].items()}
        scores.exp_avg_unc = {name: value.to(device) for name, value in state["uncertainty"].items()}
        scores.ipt = dict.fromkeys(scores.exp_avg_ipt)
        self.tuner.peft_config[ADAPTER].rank_pattern = dict(state["kept"])

    def kept_ranks(self) -> int:
        """How many triplets are not masked, over all sites."""
        return int(sum((value != 0).sum() for name, value in self.weights.items() if "/lora_E/" in name))


class AdaLoraModel(AdaptedModel):
    """A model whose loss holds AdaLoRA's regulariser, and whose steps move its schedule."""

    adapters: AdaLora

    def losses(self, batch: Batch, gates: Tensor | None) -> Tensor:
        """One loss a row, (batch,), each with the regulariser, so that their mean holds it once."""
        losses = super().losses(batch, gates)
        return losses + self.adapters.penalty() if torch.is_grad_enabled() else losses

    def parts(self) -> dict[str, Stateful]:
        return {"allocator": self.adapters.allocator}

    def stepped(self, step: int, steps: int) -> None:
        self.adapters.stepped(step, steps)
