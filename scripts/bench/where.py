"""Where the time of a step goes, by PyTorch's profiler."""

from __future__ import annotations

from collections import defaultdict

from torch.profiler import ProfilerActivity, profile

from bench.peers import RANK
from bench.work import Learner

PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm")
#: What an operation's name holds, and what it is put down to; the first that fits.
PARTS = (
    ("scaled_dot_product", "attention"),
    ("gelu", "activations and norms"),
    ("silu", "activations and norms"),
    ("layer_norm", "activations and norms"),
    ("rms_norm", "activations and norms"),
    ("aten::copy_", "copies"),
    ("aten::cat", "copies"),
    ("aten::index", "copies"),
    ("aten::add", "sums"),
    ("adamw", "optimiser"),
)
ORDER = (
    "frozen products",
    "low-rank products",
    "attention",
    "activations and norms",
    "copies",
    "sums",
    "optimiser",
    "the rest",
)


def time_by_part(learner: Learner) -> dict[str, float]:
    """The share of each part in the time of an epoch's operations.

    Products with a side no wider than the rank are low-rank; those of the head are few, and among them.
    """
    learner.epoch()
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as watched:
        learner.epoch()
    parts: dict[str, float] = defaultdict(float)
    for event in watched.key_averages(group_by_input_shape=True):
        parts[_part(event.key, event.input_shapes)] += event.self_cpu_time_total
    whole = sum(parts.values())
    return {name: parts[name] / whole for name in ORDER}


def _part(name: str, shapes: list[list[int]]) -> str:
    if name in PRODUCTS:
        sides = [side for shape in shapes if len(shape) >= 2 for side in shape]
        return "low-rank products" if min(sides) <= RANK else "frozen products"
    return next((part for fragment, part in PARTS if fragment in name.lower()), "the rest")
