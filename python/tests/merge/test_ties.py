from __future__ import annotations

import torch
from updates import in_peft, updates

from espalier_runtime.merge.ties import ties
from espalier_runtime.merge.update import Update


def test_ties_is_what_peft_computes_on_the_dense_updates() -> None:
    given = updates(3)
    wanted = in_peft(given, "ties_svd", weights=[0.7] * 3, svd_rank=5, density=0.4)
    torch.testing.assert_close(ties(given, 0.7, 0.4).dense(), wanted, rtol=0, atol=1e-6)


def test_ties_trims_elects_a_sign_and_averages_what_agrees() -> None:
    tasks = [torch.tensor([[4.0, 3.0, 0.1, 5.0]]), torch.tensor([[2.0, -1.0, 0.2, -6.0]])]
    given = [Update(torch.ones(1, 1).double(), tau.double()) for tau in tasks]
    # Of four entries three stay. The first agree; of the second 3 outweighs -1, of the last -6 outweighs 5.
    assert ties(given, 1.0, 0.75).dense().tolist() == [[3.0, 3.0, 0.0, -6.0]]


def test_one_task_at_weight_and_density_one_is_its_own_update() -> None:
    (only,) = updates(1)
    torch.testing.assert_close(ties([only], 1.0, 1.0).dense(), only.dense(), rtol=0, atol=1e-12)
