from __future__ import annotations

import torch
from updates import in_peft, updates

from espalier_runtime.merge.arithmetic import arithmetic


def test_arithmetic_is_what_peft_computes_with_cat() -> None:
    given = updates(3)
    wanted = in_peft(given, "cat", weights=[0.4, 0.4, 0.4])
    torch.testing.assert_close(arithmetic(given, 0.4).dense(), wanted, rtol=0, atol=1e-12)


def test_one_task_at_weight_one_is_its_own_update() -> None:
    (only,) = updates(1)
    torch.testing.assert_close(arithmetic([only], 1.0).dense(), only.dense(), rtol=0, atol=1e-12)
