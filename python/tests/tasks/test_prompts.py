from __future__ import annotations

from typing import Any

import pytest
from writers import tokenizer

from espalier_runtime import contract
from espalier_runtime.errors import InputError
from espalier_runtime.tasks.load import load_task
from espalier_runtime.tasks.task import Example
from espalier_runtime.tasks.tokenise import encode_completions


def task(train: list[dict[str, Any]], **fields: Any) -> contract.RowsTask:
    rows: dict[str, Any] = {"name": "opposites", "kind": "generation", "source": "rows", "train": train, "test": train}
    return contract.RowsTask.model_validate({**rows, **fields})


def test_a_generation_has_prompts_completions_and_exact_match() -> None:
    loaded = load_task(task([{"prompt": "hot is", "completion": "cold"}, {"prompt": "up is", "completion": "down"}]))
    assert [(row.text, row.completion) for row in loaded.train] == [("hot is", "cold"), ("up is", "down")]
    assert (loaded.metric, loaded.labels, loaded.max_new_tokens) == ("exactMatch", (), 32)


def test_rows_without_a_prompt_say_so() -> None:
    with pytest.raises(
        InputError, match=r'opposites.train row 1 has no "prompt"; its fields are "text", "label"'
    ) as caught:
        load_task(task([{"text": "hot is", "label": "cold"}, {"text": "up is", "label": "down"}]))
    assert "columns: { prompt:" in str(caught.value.mend)


def test_a_prompt_is_followed_by_its_completion_and_the_end() -> None:
    words = tokenizer()
    (tokens,) = encode_completions(words, [Example("hot is", None, 1, completion="cold")], 12, 4)
    assert words.convert_ids_to_tokens(tokens.input_ids) == ["<s>", "hot", "is", "cold", "</s>"]
    assert tokens.completion is not None
    assert (tokens.completion.start, tokens.completion.text, tokens.truncated) == (3, "cold", False)


def test_where_there_is_a_chat_template_the_prompt_is_a_users_turn() -> None:
    words = tokenizer(chat=True)
    (tokens,) = encode_completions(words, [Example("hot is", None, 1, completion="cold")], 12, 4)
    assert words.convert_ids_to_tokens(tokens.input_ids) == ["<user>", "hot", "is", "<bot>", "cold", "</s>"]


def test_a_long_prompt_loses_its_start_and_a_long_completion_its_end() -> None:
    words = tokenizer()
    example = Example("the opposite of hot is", None, 1, completion="cold cold cold cold")
    (tokens,) = encode_completions(words, [example], 5, 2)
    assert words.convert_ids_to_tokens(tokens.input_ids) == ["of", "hot", "is", "cold", "cold"]
    assert tokens.truncated
