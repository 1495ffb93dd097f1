"""What a model writes after a prompt, word by word the likeliest, through transformers' own generation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from espalier_runtime.backbone.load import Backbone
from espalier_runtime.tasks.batching import micro_batches
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.training.model import AdaptedModel


def completions(model: AdaptedModel, corpus: Corpus, gates: Tensor | None, max_tokens: int) -> list[str]:
    """The completion of each row's prompt, in a corpus of one generation; `gates` (tasks, candidates).

    It runs inside `model.adapters.attached(...)`, at most `max_tokens` tokens at once.
    """
    prompts, limits = [], []
    for row in range(len(corpus)):
        (tokens,) = corpus.row(row)
        assert tokens.completion is not None
        prompts.append(tokens.input_ids[: tokens.completion.start])
        limits.append(tokens.completion.limit)
    lengths = [len(prompt) + limit for prompt, limit in zip(prompts, limits, strict=True)]
    texts = [""] * len(prompts)
    task = corpus.task_ids[0]
    for part in micro_batches(range(len(prompts)), lengths, max_tokens):
        model.open(gates, torch.full((len(part),), task, device=model.backbone.device), None)
        written = write(model.backbone, [prompts[row] for row in part], max(limits[row] for row in part))
        for row, text in zip(part, written, strict=True):
            texts[row] = text
    return texts


@torch.no_grad()
def write(backbone: Backbone, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> list[str]:
    """The texts that follow these token ids, without special tokens and outer white space."""
    from transformers import GenerationConfig

    tokenizer, language = backbone.tokenizer, backbone.language
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), longest), tokenizer.pad_token_id)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    greedy: Any = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,
        use_cache=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    written = language.generate(
        input_ids=ids.to(backbone.device), attention_mask=mask.to(backbone.device), generation_config=greedy
    )
    return [text.strip() for text in tokenizer.batch_decode(written[:, longest:], skip_special_tokens=True)]
