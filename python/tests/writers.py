"""Tiny decoders with a tokeniser of whole words, saved as a user's folder would be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from conftest import DECODER
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from espalier_runtime import contract
from espalier_runtime.backbone.load import Backbone, load_backbone

WORDS = ["the", "opposite", "of", "is", "hot", "cold", "big", "small", "up", "down", "left", "right", "old", "new"]
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<user>", "<bot>"]
TEMPLATE = "{% for m in messages %}<user> {{ m['content'] }} {% endfor %}{% if add_generation_prompt %}<bot>{% endif %}"


def tokenizer(*, chat: bool = False) -> Any:
    """One token a word; a start token before each text, or, with `chat`, turns of users and answers."""
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: place for place, word in enumerate([*SPECIAL, *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    made = PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=["<user>", "<bot>"],
    )
    if chat:
        made.chat_template = TEMPLATE
    return made


def save_writer(folder: Path, *, chat: bool = False, family: str = "llama", **changes: Any) -> Path:
    """A random causal language model of the family with its tokeniser, in `folder`."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family, **{**DECODER, "tie_word_embeddings": True, "initializer_range": 0.3, **changes}
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(str(folder))
    tokenizer(chat=chat).save_pretrained(str(folder))
    return folder


def load_writer(folder: Path, *, language: bool = True) -> Backbone:
    """The model in `folder`."""
    spec = contract.FolderBackbone(source="folder", path=str(folder), trust_remote_code=False)
    return load_backbone(spec, language=language)
