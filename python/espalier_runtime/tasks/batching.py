"""Which rows run together: batches of training and evaluation, and the rows held out of training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def training_batches(lengths: Sequence[int], batch_size: int, seed: int, epoch: int, window: int) -> list[list[int]]:
    """The row indices of one epoch's batches; every row once, in an order set by `seed` and `epoch`.

    Rows are shuffled, and within each window of `window` batches those of like length share a batch; then the batches
    are shuffled. The rows that fill no batch are a random draw and make the short one.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    full = len(order) - len(order) % batch_size
    batches = [order[full:].tolist()] if full < len(order) else []
    row_lengths = np.asarray(lengths)
    for start in range(0, full, window * batch_size):
        rows = order[start : min(start + window * batch_size, full)]
        alike = rows[np.argsort(row_lengths[rows], kind="stable")]
        batches += alike.reshape(-1, batch_size).tolist()
    return [batches[index] for index in random.permutation(len(batches))]


def micro_batches(
    rows: Sequence[int], lengths: Sequence[int], max_tokens: int, *, packed: bool = False
) -> list[list[int]]:
    """The rows, longest first, in parts of at most `max_tokens` tokens.

    Where `packed`, a part has the sum of its rows' lengths, else rows times the longest. A row longer than `max_tokens`
    is a part of its own.
    """
    parts: list[list[int]] = []
    tokens = 0
    for row in sorted(rows, key=lambda row: lengths[row], reverse=True):
        # Longest first, so that the first of a part is what its others are padded to.
        more = lengths[row] if packed or not parts else lengths[parts[-1][0]]
        if not parts or tokens + more > max_tokens:
            parts.append([])
            tokens, more = 0, lengths[row]
        parts[-1].append(row)
        tokens += more
    return parts


def carve(rows: int, fraction: float, seed: int, labels: Sequence[int] | None = None) -> tuple[list[int], list[int]]:
    """Splits `rows` rows into (train, held out), both ascending; held out is `fraction` of them, rounded.

    At least one row is held out unless `fraction` is 0, and at least one stays. With class `labels` every class is
    held out in proportion, by largest remainder, and keeps at least one row in train, unless each has but one.
    """
    groups = np.zeros(rows, dtype=np.int64) if labels is None else np.unique(labels, return_inverse=True)[1]
    if len(np.unique(groups)) == rows:
        groups = np.zeros(rows, dtype=np.int64)
    counts = np.bincount(groups)
    wanted = 0 if fraction == 0 else max(1, round(rows * fraction))
    shares = _shares(counts, wanted)
    random = np.random.default_rng(seed)
    held_out = sorted(
        int(row)
        for group, share in enumerate(shares)
        for row in random.permutation(np.flatnonzero(groups == group))[:share]
    )
    aside = set(held_out)
    return [row for row in range(rows) if row not in aside], held_out


def _shares(counts: np.ndarray, wanted: int) -> list[int]:
    """How many rows to take of each group, `wanted` in all where all but one of each suffice."""
    limits = counts - 1
    exact = wanted * counts / max(1, counts.sum())
    shares = np.minimum(np.floor(exact).astype(np.int64), limits)
    while shares.sum() < min(wanted, limits.sum()):
        lacking = np.where(shares < limits, exact - shares, -np.inf)
        shares[int(np.argmax(lacking))] += 1
    return [int(share) for share in shares]
