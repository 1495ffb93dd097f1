"""The known families: where each keeps its layers, and the module of each slot inside a layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from espalier_runtime.backbone.part import Part

LINEAR_SLOTS = (
    "attention.query",
    "attention.key",
    "attention.value",
    "attention.output",
    "mlp.up",
    "mlp.gate",
    "mlp.down",
)
BLOCK_SLOTS = ("attention", "mlp", "block")
NORM_SLOTS = ("attention.norm", "mlp.norm")


@dataclass(frozen=True)
class Place:
    """A slot's module inside a layer ("" for the layer itself), and the part of its outputs where slots share it.

    `modules` are the names that models of the family give it; the first that a layer has is meant, and a layer without
    any of them lacks the slot, as does a model whose config does not `apply`.
    """

    modules: tuple[str, ...]
    part: Callable[[Any], Part] | None = None
    applies: Callable[[Any], bool] = lambda config: True  # noqa: ARG005


@dataclass(frozen=True)
class Family:
    """`layers`: path of the list of layers. `reads`: the model takes text as token ids, or images.

    `packs`: transformers chooses its attention, so that rows can lie one after the other. `starts`: a layer needs
    nothing of those below but their last states. `gives_tuple`: a layer gives its states as the first of two things.
    `counts_from_padding`: positions count from after the padding's index.
    """

    layers: str
    slots: Mapping[str, Place]
    causal: bool = False
    reads: Literal["text", "images"] = "text"
    packs: bool = True
    starts: bool = True
    gives_tuple: bool = False
    counts_from_padding: bool = False


def _family(
    layers: str,
    *,
    query: str | Place,
    key: str | Place,
    value: str | Place,
    output: str,
    up: str | Place,
    down: str,
    gate: str | Place | None = None,
    attention: str | None = None,
    mlp: str | None = None,
    causal: bool = False,
    reads: Literal["text", "images"] = "text",
    packs: bool = True,
    starts: bool = True,
    gives_tuple: bool = False,
    counts_from_padding: bool = False,
) -> Family:
    """Without a place of their own, the sub-blocks attention and mlp end at their last linear."""
    linears = dict(zip(LINEAR_SLOTS, (query, key, value, output, up, gate, down), strict=True))
    places = {**linears, "attention": attention or output, "mlp": mlp or down, "block": ""}
    slots = {
        slot: Place((place,)) if isinstance(place, str) else place
        for slot, place in places.items()
        if place is not None
    }
    return Family(layers, slots, causal, reads, packs, starts, gives_tuple, counts_from_padding)


def _third(module: str, index: int) -> Place:
    """Query, key or value where a projection gives the three one after the other."""
    return Place((module,), lambda config: Part(index * config.hidden_size, (index + 1) * config.hidden_size))


def _half(module: str, index: int) -> Place:
    """Gate or up where a projection gives the two one after the other."""
    return Place(
        (module,), lambda config: Part(index * config.intermediate_size, (index + 1) * config.intermediate_size)
    )


def _of_each_head(module: str, index: int) -> Place:
    """Query, key or value where a projection gives the three of the first head, then those of the second, and so on."""

    def part(config: Any) -> Part:
        width = config.hidden_size // config.num_attention_heads
        return Part(index * width, (index + 1) * width, groups=config.num_attention_heads)

    return Place((module,), part)


def _grouped(module: str, index: int) -> Place:
    """Query, key or value one after the other, where keys and values may have fewer heads than queries."""

    def part(config: Any) -> Part:
        heads, key_heads = config.num_attention_heads, config.num_key_value_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // heads
        ends = [0, heads * width, (heads + key_heads) * width, (heads + 2 * key_heads) * width]
        return Part(ends[index], ends[index + 1])

    return Place((module,), part)


def _of_tokens_only(module: str) -> Place:
    """A projection that some models also run on relative positions, once for all rows of a batch.

    There it is no site: the rows of a batch may be under different gates.
    """
    return Place((module,), applies=lambda config: not getattr(config, "share_att_key", False))


_BERT = _family(
    "encoder.layer",
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    output="attention.output.dense",
    up="intermediate.dense",
    down="output.dense",
)
_ROBERTA = dataclasses.replace(_BERT, counts_from_padding=True)
_DEBERTA = _family(
    "encoder.layer",
    packs=False,
    gives_tuple=True,
    query=_of_tokens_only("attention.self.query_proj"),
    key=_of_tokens_only("attention.self.key_proj"),
    value="attention.self.value_proj",
    output="attention.output.dense",
    up="intermediate.dense",
    down="output.dense",
)
_MPNET = _family(
    "encoder.layer",
    packs=False,
    gives_tuple=True,
    counts_from_padding=True,
    query="attention.attn.q",
    key="attention.attn.k",
    value="attention.attn.v",
    output="attention.attn.o",
    up="intermediate.dense",
    down="output.dense",
)
_DISTILBERT = _family(
    "transformer.layer",
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    output="attention.out_lin",
    up="ffn.lin1",
    down="ffn.lin2",
)
# The first half of Wi goes through the activation and multiplies the second.
_MODERNBERT = _family(
    "layers",
    query=_third("attn.Wqkv", 0),
    key=_third("attn.Wqkv", 1),
    value=_third("attn.Wqkv", 2),
    output="attn.Wo",
    gate=_half("mlp.Wi", 0),
    up=_half("mlp.Wi", 1),
    down="mlp.Wo",
)
# T5 1.1 and its heirs have a gate: wi_0 is activated and multiplies wi_1.
# All blocks add the position bias that the first computes.
_T5 = _family(
    "encoder.block",
    packs=False,
    starts=False,
    query="layer.0.SelfAttention.q",
    key="layer.0.SelfAttention.k",
    value="layer.0.SelfAttention.v",
    output="layer.0.SelfAttention.o",
    gate="layer.1.DenseReluDense.wi_0",
    up=Place(("layer.1.DenseReluDense.wi", "layer.1.DenseReluDense.wi_1")),
    down="layer.1.DenseReluDense.wo",
)
_GPT2 = _family(
    "h",
    causal=True,
    query=_third("attn.c_attn", 0),
    key=_third("attn.c_attn", 1),
    value=_third("attn.c_attn", 2),
    output="attn.c_proj",
    up="mlp.c_fc",
    down="mlp.c_proj",
)


def _llama(attention: str | None = None, mlp: str | None = None) -> Family:
    return _family(
        "layers",
        causal=True,
        query="self_attn.q_proj",
        key="self_attn.k_proj",
        value="self_attn.v_proj",
        output="self_attn.o_proj",
        gate="mlp.gate_proj",
        up="mlp.up_proj",
        down="mlp.down_proj",
        attention=attention,
        mlp=mlp,
    )


_LLAMA = _llama()
# Gemma 2 and 3 normalise what a sub-block gives before its residual is added.
_GEMMA3 = _llama(attention="post_attention_layernorm", mlp="post_feedforward_layernorm")
# Gemma 2 caps its attention's scores, which PyTorch's attention does not.
_GEMMA2 = dataclasses.replace(_GEMMA3, packs=False)
_PHI3 = _family(
    "layers",
    causal=True,
    query=_grouped("self_attn.qkv_proj", 0),
    key=_grouped("self_attn.qkv_proj", 1),
    value=_grouped("self_attn.qkv_proj", 2),
    output="self_attn.o_proj",
    gate=_half("mlp.gate_up_proj", 0),
    up=_half("mlp.gate_up_proj", 1),
    down="mlp.down_proj",
)
_OPT = _family(
    "decoder.layers",
    causal=True,
    query="self_attn.q_proj",
    key="self_attn.k_proj",
    value="self_attn.v_proj",
    output="self_attn.out_proj",
    up="fc1",
    down="fc2",
)
_NEOX = _family(
    "layers",
    causal=True,
    query=_of_each_head("attention.query_key_value", 0),
    key=_of_each_head("attention.query_key_value", 1),
    value=_of_each_head("attention.query_key_value", 2),
    output="attention.dense",
    up="mlp.dense_h_to_4h",
    down="mlp.dense_4h_to_h",
)
_VIT = _family(
    "layers",
    reads="images",
    packs=False,
    starts=False,
    query="attention.q_proj",
    key="attention.k_proj",
    value="attention.v_proj",
    output="attention.o_proj",
    up="mlp.fc1",
    down="mlp.fc2",
)

#: By the model type of transformers.
FAMILIES: Mapping[str, Family] = {
    "bert": _BERT,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "electra": _BERT,
    "deberta-v2": _DEBERTA,
    "mpnet": _MPNET,
    "distilbert": _DISTILBERT,
    "modernbert": _MODERNBERT,
    "t5": _T5,
    "mt5": _T5,
    "gpt2": _GPT2,
    "llama": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
    "mistral": _LLAMA,
    "gemma": _LLAMA,
    "gemma2": _GEMMA2,
    "gemma3_text": _GEMMA3,
    "phi3": _PHI3,
    "opt": _OPT,
    "gpt_neox": _NEOX,
    "vit": _VIT,
}
