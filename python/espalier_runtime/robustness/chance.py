"""Chance that belongs to a seed and a name: every method that is measured at a seed meets the same noise."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor


def random_of(seed: int, *names: object) -> np.random.Generator:
    """A generator set by `seed` and `names` alone."""
    return np.random.default_rng(_number(seed, *names))


def gaussian(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal noise of the shape, type and device of `like`; drawn on the CPU, so that devices agree."""
    return torch.randn(like.shape, generator=generator).to(like)


def generator_of(seed: int, *names: object) -> torch.Generator:
    """PyTorch's generator, set by `seed` and `names` alone."""
    return torch.Generator().manual_seed(_number(seed, *names))


def _number(seed: int, *names: object) -> int:
    digest = hashlib.sha256("/".join([str(seed), *map(str, names)]).encode()).digest()
    return int.from_bytes(digest[:7], "big")
