from __future__ import annotations

import torch
from places import filled, layer, run

from espalier_runtime import contract
from espalier_runtime.adapters.parallel import parallel
from espalier_runtime.adapters.scaled_parallel import scaled_parallel

PLAIN = parallel(contract.ParallelKind(kind="parallel", sizes=[4], activation="relu"))
SCALED = scaled_parallel(contract.ScaledParallelKind(kind="scaledParallel", sizes=[4], activation="relu", scale=2.0))


def test_the_scaled_form_is_the_plain_one_times_its_scale() -> None:
    site = layer()["attention"]
    plain, scaled = filled(PLAIN.build(site, [(0, 4)], 0)), filled(SCALED.build(site, [(0, 4)], 0))
    entry, h = torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    torch.testing.assert_close(run(scaled, entry, entry, h) - h, 2 * (run(plain, entry, entry, h) - h))
