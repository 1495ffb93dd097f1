"""The model that a PEFT adapter is for: the body alone, or, of a generation, the causal language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from espalier_runtime.export.native import LoadedAdapter


@dataclass(frozen=True)
class PeftModelKind:
    """PEFT's name for what the model does, and what comes before the paths of the body's modules in it."""

    task_type: Literal["FEATURE_EXTRACTION", "CAUSAL_LM"]
    prefix: str


BODY = PeftModelKind("FEATURE_EXTRACTION", "")


def peft_model_of(adapter: LoadedAdapter, task: str | None) -> PeftModelKind:
    """The model that a PEFT adapter of `task`, or of all tasks, is for."""
    if task is None or adapter.task(task).kind != "generation":
        return BODY
    return PeftModelKind("CAUSAL_LM", f"{adapter.backbone.language.base_model_prefix}.")
