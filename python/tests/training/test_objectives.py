"""Losses that a task's objective counts, against those written out, in both layouts of a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from conftest import FAMILIES
from torch.nn import functional
from writers import load_writer, save_writer

from espalier_runtime.backbone.heads import Head, LanguageHead
from espalier_runtime.backbone.load import Backbone, as_backbone
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.tasks.task import Example
from espalier_runtime.tasks.tokenise import TokenIds, encode_completions
from espalier_runtime.training.evaluate import predict
from espalier_runtime.training.model import AdaptedModel

CPU = torch.device("cpu")
DECODERS = sorted(
    {name for name in FAMILIES if "/" not in name} & {"llama", "gpt2", "gemma2", "opt", "qwen3", "gpt_neox"}
)


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return load_writer(save_writer(tmp_path_factory.mktemp("writer")))


def model_of(backbone: Backbone, *heads: Head) -> AdaptedModel:
    named = [(f"task{index}", head) for index, head in enumerate(heads)]
    return AdaptedModel(backbone, AdapterPool((), {}, 0), named, "last")


@pytest.mark.parametrize("packed", [True, False])
def test_a_generations_loss_is_that_of_transformers_on_the_completion_only(writer: Backbone, packed: bool) -> None:
    examples = [
        Example("the opposite of hot is", None, 1, completion="cold"),
        Example("the opposite of up", None, 1, completion="is down"),
        Example("new", None, 1, completion="old old old"),
    ]
    tokens = encode_completions(writer.tokenizer, examples, 20, 8)
    corpus = Corpus(["task0"], [(0, ids, 1.0) for ids in tokens], 0, CPU, packed=packed)
    losses = model_of(writer, LanguageHead(writer.language)).losses(corpus.batch(range(3)), None)
    for ids, loss in zip(tokens, losses, strict=True):
        assert ids.completion is not None
        labels = torch.tensor([ids.input_ids])
        labels[0, : ids.completion.start] = -100
        wanted = writer.language(input_ids=torch.tensor([ids.input_ids]), labels=labels).loss
        torch.testing.assert_close(loss, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", DECODERS)
def test_a_language_head_gives_the_models_own_logits(name: str) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    language: Any = AutoModelForCausalLM.from_config(AutoConfig.for_model(name, **FAMILIES[name]))
    backbone = as_backbone(language.base_model, None, name, language=language)
    ids = torch.randint(5, 99, (2, 6), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        head = LanguageHead(language)
        found = head(backbone.model(input_ids=ids).last_hidden_state)
        torch.testing.assert_close(found, language(input_ids=ids).logits)
    assert list(head.parameters()) == []
    assert head.state_dict() == {}


@pytest.mark.parametrize("packed", [True, False])
def test_a_multiple_choice_is_a_softmax_over_each_rows_own_candidates(
    tiny_model: Callable[[str], Backbone], packed: bool
) -> None:
    backbone = tiny_model("llama")
    head = Head(32, 1, kind="multipleChoice")
    torch.nn.init.normal_(head.linear.weight, generator=torch.Generator().manual_seed(3))
    candidates = [[[5, 6, 7], [5, 6]], [[9, 8], [9, 8, 7, 6], [9, 4]]]
    rows = [
        (0, [TokenIds(ids, None, False) for ids in row], float(label))
        for row, label in zip(candidates, (1, 2), strict=True)
    ]
    corpus = Corpus(["task0"], rows, 0, CPU, packed=packed)
    model = model_of(backbone, head)
    with torch.no_grad():
        scores = [
            torch.stack([head(backbone.model(input_ids=torch.tensor([ids])).last_hidden_state[0, -1]) for ids in row])
            for row in candidates
        ]
        losses = model.losses(corpus.batch([0, 1]), None)
    for row, label, loss in zip(scores, (1, 2), losses, strict=True):
        torch.testing.assert_close(
            loss, functional.cross_entropy(row.squeeze(1), torch.tensor(label)), atol=1e-5, rtol=0
        )
    found = predict(model, corpus, None, "accuracy", 100)
    assert found.finite
    assert found.predictions.tolist() == [int(row.argmax()) for row in scores]
    assert found.outputs[0, 2] == -float("inf")  # the first row has two candidates


def test_a_batch_of_several_kinds_has_each_rows_own_loss(writer: Backbone) -> None:
    (written,) = encode_completions(writer.tokenizer, [Example("hot is", None, 1, completion="cold")], 12, 4)
    plain = TokenIds([1, 6, 7], None, False)
    rows = [(0, plain, 1.0), (1, written, 1.0), (2, [plain, TokenIds([1, 8], None, False)], 0.0), (3, plain, 2.5)]
    names = ["class", "write", "choose", "value"]
    heads = [Head(32, 3), LanguageHead(writer.language), Head(32, 1, kind="multipleChoice"), Head(32, 1)]
    for head in (heads[0], heads[2], heads[3]):
        torch.nn.init.normal_(head.linear.weight)
    model = model_of(writer, *heads)
    corpus = Corpus(names, rows, 0, CPU, packed=True)
    together = model.losses(corpus.batch(range(4)), None)
    alone = torch.cat([model.losses(corpus.batch([row]), None) for row in range(4)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
