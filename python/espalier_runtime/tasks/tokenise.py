"""From texts to token ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from espalier_runtime.tasks.task import Example, TaskKind


@dataclass(frozen=True)
class Completion:
    """Where the completion of a prompt starts among the tokens, its text, and how many tokens it may have."""

    start: int
    text: str
    limit: int


@dataclass(frozen=True)
class TokenIds:
    """The tokens of one example, special tokens included, without padding.

    `token_type_ids` has the length of `input_ids`, or is None where the tokeniser gives none. `truncated` says
    whether tokens were dropped to keep to the limit. `completion` is that of a generation's example.
    """

    input_ids: list[int]
    token_type_ids: list[int] | None
    truncated: bool
    completion: Completion | None = None

    @cached_property
    def ids(self) -> Tensor:
        """`input_ids` (length,), made once for all the batches that the example comes in."""
        return torch.tensor(self.input_ids)

    @cached_property
    def types(self) -> Tensor:
        """`token_type_ids` (length,)."""
        return torch.tensor(self.token_type_ids)


#: The tokens of a row: one sequence, or, of a multiple choice, one a candidate.
Sequences = TokenIds | Sequence[TokenIds]


def encode_task(
    tokenizer: Any, kind: TaskKind, examples: Sequence[Example], max_length: int, max_new_tokens: int
) -> list[Sequences]:
    """The tokens of each example of a task of this kind."""
    match kind:
        case "generation":
            return [*encode_completions(tokenizer, examples, max_length, max_new_tokens)]
        case "multipleChoice":
            return [*encode_choices(tokenizer, examples, max_length)]
        case _:
            return [*encode(tokenizer, examples, max_length)]


def encode_choices(tokenizer: Any, examples: Sequence[Example], max_length: int) -> list[tuple[TokenIds, ...]]:
    """The text with each of its candidates as a pair."""
    pairs = [Example(example.text, choice, 0) for example in examples for choice in example.choices]
    tokens = iter(encode(tokenizer, pairs, max_length))
    return [tuple(next(tokens) for _ in example.choices) for example in examples]


def encode_completions(
    tokenizer: Any, examples: Sequence[Example], max_length: int, max_new_tokens: int
) -> list[TokenIds]:
    """The prompt as `encode_prompt` gives it, then the completion and the end of the text.

    A completion is cut to `max_new_tokens`, a prompt to what `max_length` leaves beside them.
    """
    typed = "token_type_ids" in tokenizer.model_input_names
    encoded = []
    for example in examples:
        prompt, shortened = encode_prompt(tokenizer, example.text, max_length - max_new_tokens)
        answer = tokenizer(example.completion, add_special_tokens=False, verbose=False)["input_ids"]
        answer = [*answer, tokenizer.eos_token_id]
        cut = answer[:max_new_tokens]
        completion = Completion(len(prompt), example.completion or "", max_new_tokens)
        ids = [*prompt, *cut]
        encoded.append(
            TokenIds(ids, [0] * len(ids) if typed else None, shortened or len(cut) < len(answer), completion)
        )
    return encoded


def encode_prompt(tokenizer: Any, prompt: str, max_length: int) -> tuple[list[int], bool]:
    """The last `max_length` tokens of a prompt, and whether that leaves any out.

    Where the model has a chat template the prompt is a user's turn, followed by the start of the answer.
    """
    if getattr(tokenizer, "chat_template", None):
        turn = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
        ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    else:
        ids = tokenizer(prompt, verbose=False)["input_ids"]
    return ids[-max_length:], len(ids) > max_length


def encode(tokenizer: Any, examples: Sequence[Example], max_length: int) -> list[TokenIds]:
    """The examples' tokens, at most `max_length` each; of a pair the longer text is shortened first.

    A tokeniser that puts nothing between the texts of a pair, as most of decoders do, gets a line break there.
    """
    whole = _encode(tokenizer, examples, None)
    too_long = [row for row, tokens in enumerate(whole) if len(tokens.input_ids) > max_length]
    shortened = _encode(tokenizer, [examples[row] for row in too_long], max_length)
    for row, tokens in zip(too_long, shortened, strict=True):
        whole[row] = tokens
    return whole


def truncated_count(encoded: Sequence[TokenIds]) -> int:
    """How many of the examples lost tokens."""
    return sum(tokens.truncated for tokens in encoded)


def _encode(tokenizer: Any, examples: Sequence[Example], max_length: int | None) -> list[TokenIds]:
    if not examples:
        return []
    pairs = [example.text_pair for example in examples]
    between = "" if _separates(tokenizer) else "\n"
    output = tokenizer(
        [example.text for example in examples],
        None if pairs[0] is None else [f"{between}{pair}" for pair in pairs],
        max_length=max_length,
        truncation="longest_first" if max_length is not None else False,
        padding=False,
        verbose=False,
    )
    ids = output["input_ids"]
    types = output.get("token_type_ids") or [None] * len(ids)
    return [TokenIds(row, kinds, max_length is not None) for row, kinds in zip(ids, types, strict=True)]


def _separates(tokenizer: Any) -> bool:
    """Whether a pair gets more special tokens than a single text."""
    return int(tokenizer.num_special_tokens_to_add(pair=True)) > int(tokenizer.num_special_tokens_to_add(pair=False))
