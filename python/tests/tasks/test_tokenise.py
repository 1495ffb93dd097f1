"""From texts to token ids."""

from __future__ import annotations

from espalier_runtime.backbone.load import Backbone
from espalier_runtime.tasks.task import Example
from espalier_runtime.tasks.tokenise import encode, truncated_count

CLS, SEP = 101, 102


def test_a_text_stands_between_the_special_tokens_without_padding(minilm: Backbone) -> None:
    short, longer = encode(minilm.tokenizer, [Example("hello", None, 0), Example("hello hello", None, 1)], 16)
    assert short.input_ids == [CLS, 7592, SEP]
    assert longer.input_ids == [CLS, 7592, 7592, SEP]
    assert short.token_type_ids == [0, 0, 0]


def test_a_pair_has_two_token_types(minilm: Backbone) -> None:
    (pair,) = encode(minilm.tokenizer, [Example("hello", "hello hello", 0)], 16)
    assert pair.input_ids == [CLS, 7592, SEP, 7592, 7592, SEP]
    assert pair.token_type_ids == [0, 0, 0, 1, 1, 1]


def test_what_exceeds_the_limit_is_cut_and_counted(minilm: Backbone) -> None:
    examples = [Example(" ".join(["hello"] * count), None, 0) for count in (1, 6, 7, 300)]
    encoded = encode(minilm.tokenizer, examples, 8)
    assert [len(tokens.input_ids) for tokens in encoded] == [3, 8, 8, 8]
    assert [tokens.truncated for tokens in encoded] == [False, False, True, True]
    assert truncated_count(encoded) == 2
    assert encoded[3].input_ids[-1] == SEP


def test_of_a_pair_the_longer_text_is_cut_first(minilm: Backbone) -> None:
    (tokens,) = encode(minilm.tokenizer, [Example("hello world", " ".join(["hello"] * 20), 0)], 10)
    assert tokens.input_ids[:4] == [CLS, 7592, 2088, SEP]
    assert len(tokens.input_ids) == 10


def test_no_examples_give_no_tokens(minilm: Backbone) -> None:
    assert encode(minilm.tokenizer, [], 8) == []


def test_a_tokeniser_without_token_types_gives_none() -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({"?": 0, "hello": 1}, unk_token="?"))
    words.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, model_input_names=["input_ids", "attention_mask"])
    (tokens,) = encode(tokenizer, [Example("hello you", None, 0)], 8)
    assert (tokens.input_ids, tokens.token_type_ids) == ([1, 0], None)


def test_a_tokeniser_that_puts_nothing_between_two_texts_gets_a_line_break_there() -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({"?": 0, "a": 1, "b": 2, "\n": 3}, unk_token="?"))
    words.pre_tokenizer = Split("", "isolated")  # type: ignore[assignment]
    (tokens,) = encode(PreTrainedTokenizerFast(tokenizer_object=words), [Example("aa", "bbb", 0)], 5)
    assert tokens.input_ids == [1, 1, 3, 2, 2]
