from __future__ import annotations

import torch
from updates import updates

from espalier_runtime.merge.update import compressed, times, total


def test_a_compressed_update_is_the_same_matrix_at_its_own_rank() -> None:
    first, second = updates(2)
    twice = times(total([first, first]), 0.5)
    whole, kept = compressed(twice, None)
    assert (twice.rank, whole.rank) == (4, 2)
    torch.testing.assert_close(whole.dense(), first.dense(), rtol=0, atol=1e-12)
    assert kept == 1.0
    both = total([first, second])
    part, kept = compressed(both, 3)
    values = torch.linalg.svdvals(both.dense())
    assert part.rank == 3
    torch.testing.assert_close((both.dense() - part.dense()).norm(), values[3], rtol=1e-10, atol=0)
    torch.testing.assert_close(kept, float((values[:3] ** 2).sum() / (values**2).sum()))
