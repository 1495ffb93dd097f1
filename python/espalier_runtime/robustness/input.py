"""Input noise: tokens replaced, deleted, or swapped with their neighbour."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from espalier_runtime.robustness.chance import random_of
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.tasks.tokenise import TokenIds


def noisy_input(corpus: Corpus, ratio: float, vocabulary: int, special: Sequence[int], seed: int) -> Corpus:
    """The corpus in which each token is hit with probability `ratio`; `special` tokens never are.

    A hit token is replaced by any other of the `vocabulary`, deleted, or swapped with the next one, a third of the
    times each. What is hit at a smaller ratio is hit at a larger one too. A row keeps at least one ordinary token. The
    candidates of a multiple choice are hit alike, and the completion of a prompt, which is no input, is not.
    """
    if ratio == 0:
        return corpus
    untouchable = frozenset(special)
    ordinary = [token for token in range(vocabulary) if token not in untouchable]
    return corpus.mapped(lambda row, tokens: _noisy_row(tokens, ratio, ordinary, untouchable, seed, row))


def _noisy_row(
    tokens: TokenIds, ratio: float, ordinary: Sequence[int], special: frozenset[int], seed: int, row: int
) -> TokenIds:
    random = random_of(seed, "input", row)
    ids = list(tokens.input_ids)
    types = None if tokens.token_type_ids is None else list(tokens.token_type_ids)
    # All of the row's chance is drawn before the ratio is looked at.
    hits, acts = random.random(len(ids)) < ratio, random.integers(0, 3, len(ids))
    others = random.integers(0, len(ordinary), len(ids))
    end = len(ids) if tokens.completion is None else tokens.completion.start
    plain = [place < end and token not in special for place, token in enumerate(ids)]
    left, gone = sum(plain), set()
    for place in range(len(ids)):
        if not (hits[place] and plain[place]):
            continue
        after = place + 1
        if acts[place] == 0:
            ids[place] = ordinary[others[place]]
        elif acts[place] == 1 and left > 1:
            gone.add(place)
            left -= 1
        elif acts[place] == 2 and after < len(ids) and plain[after] and (types is None or types[place] == types[after]):
            ids[place], ids[after] = ids[after], ids[place]
    kept = [place for place in range(len(ids)) if place not in gone]
    completion = tokens.completion
    if completion is not None:
        completion = dataclasses.replace(completion, start=end - len(gone))
    return dataclasses.replace(
        tokens,
        input_ids=[ids[place] for place in kept],
        token_type_ids=None if types is None else [types[place] for place in kept],
        completion=completion,
    )
