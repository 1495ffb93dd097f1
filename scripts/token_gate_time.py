"""What skipping the MLP saves: milliseconds of an evaluation pass with tokenGate in every layer of MiniLM.

The dispatchers are random, and their biases are set so that each site lets the stated share of a batch's tokens
through. The bare model, all tokens let through, and the share take turns in one process; printed are medians, and the
ratio to the bare model pair by pair with its quartiles. The tokens themselves are random: what is computed does not
depend on them.

    PYTHONPATH=python python scripts/token_gate_time.py [--ratio 0.5] [--batch 32] [--tokens 64] [--turns 20]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from turns import print_turns

from espalier_runtime import contract
from espalier_runtime.adapters.token_gate import TokenGate
from espalier_runtime.backbone.load import load_backbone
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import build_space


@torch.no_grad()
def main() -> None:
    """Times the three in turn."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ratio", type=float, default=0.5)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--turns", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    backbone = load_backbone(contract.EmbeddedBackbone(source="embedded", name="minilm"))
    model = backbone.model
    spec = contract.Space(slots=["mlp"], layers=None, kinds=[contract.TokenGateKind(kind="tokenGate")])
    space = build_space(spec, backbone.sites)
    open_pool, gated = (AdapterPool(space.candidates, space.kinds, 0).eval() for _ in range(2))
    ids = torch.randint(1000, 20000, (options.batch, options.tokens))
    mask = torch.ones_like(ids)

    def bare() -> None:
        model(ids, attention_mask=mask)

    def all_open() -> None:
        with open_pool.attached(model):
            bare()

    def at_ratio() -> None:
        with gated.attached(model):
            bare()

    for gate in gated.members():
        assert isinstance(gate, TokenGate)
        nn.init.normal_(gate.dispatcher)
        gate.bias.fill_(0)
        # Layer by layer, since what a layer reads depends on what those below let through.
        heard = entering(model.get_submodule(gate.site.beside["mlp.up"].module.rpartition(".")[0]), at_ratio)
        gate.bias.fill_(-float((heard @ gate.dispatcher[0]).quantile(1 - options.ratio)))
    cases = {"bare model": bare, "all tokens let through": all_open, f"{options.ratio:g} of the tokens": at_ratio}
    print_turns({name: timed(case) for name, case in cases.items()}, options.turns, "bare model")


def timed(case: Callable[[], None]) -> Callable[[], float]:
    """`case`, giving the seconds that it took."""

    def run() -> float:
        started = time.perf_counter()
        case()
        return time.perf_counter() - started

    return run


def entering(module: nn.Module, run: object) -> Tensor:
    """What `run` gives `module`, (tokens, width)."""
    assert callable(run)
    heard: list[Tensor] = []
    handle = module.register_forward_pre_hook(lambda _, given: heard.append(given[0].flatten(0, -2)))
    run()
    handle.remove()
    return heard[0]


if __name__ == "__main__":
    main()
