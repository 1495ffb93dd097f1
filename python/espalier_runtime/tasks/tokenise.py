"""From texts to token ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from espalier_runtime.tasks.task import Example


@dataclass(frozen=True)
class TokenIds:
    """The tokens of one example, special tokens included, without padding.

    `token_type_ids` has the length of `input_ids`, or is None where the tokeniser gives none. `truncated` says
    whether tokens were dropped to keep to the limit.
    """

    input_ids: list[int]
    token_type_ids: list[int] | None
    truncated: bool


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
