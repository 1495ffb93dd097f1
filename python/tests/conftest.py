"""Tiny random models of every family, and the embedded model, which tests share."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.backbone.load import Backbone, as_backbone, load_backbone

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 99,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": SMALL,
    "roberta": {**SMALL, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
    "electra": {**SMALL, "embedding_size": 16},
    "mpnet": {**SMALL, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
    "distilbert": {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48, "vocab_size": 99},
}


def tiny(family: str) -> Backbone:
    """A random model of the family with three layers of width 32."""
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **FAMILIES[family])
    return as_backbone(AutoModel.from_config(config), None, f"tiny {family}")


@pytest.fixture(scope="session")
def tiny_model() -> Callable[[str], Backbone]:
    return tiny


@pytest.fixture(scope="session")
def minilm() -> Backbone:
    return load_backbone(contract.EmbeddedBackbone(source="embedded", name="minilm"))


@pytest.fixture(params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def inputs() -> tuple[Tensor, Tensor]:
    """Token ids and mask of three rows, one of them padded."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, 99, (3, 7), generator=generator)
    mask = torch.ones(3, 7, dtype=torch.long)
    mask[1, 4:] = 0
    ids[1, 4:] = 0
    return ids, mask
