"""The protocol of an adapter kind.

Every kind is a residual  h' = h + s * W_up (z . f(W_down v)), with v the input x of a frozen operation or its
output h, and z one gate a chunk of the inner width. A kind gives f, s, what v is and where it may attach; the
fused group of `group.py` does the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from espalier_runtime.backbone.sites import Site


@dataclass(frozen=True)
class AdapterKind:
    """What distinguishes one kind from another.

    `reads`: v is the frozen operation's "input" x or its "output" h. `sizes`: inner widths a site may have, growing;
    each step from one to the next is one chunk. `slots`: where the kind may attach. `peft`: PEFT can hold it.
    """

    name: Literal["lora", "bottleneck"]
    source: str
    reads: Literal["input", "output"]
    slots: tuple[str, ...]
    sizes: tuple[int, ...]
    scale: float
    activation: str
    peft: bool

    def widths(self, site: Site) -> tuple[int, int]:
        """(width of v, width of h) at `site`."""
        return (site.inputs if self.reads == "input" else site.outputs), site.outputs

    def parameters(self, site: Site, size: int) -> int:
        """Trainable parameters of `size` inner units at `site`: size * (width of v + width of h)."""
        return size * sum(self.widths(site))

    def inner(self, down: Tensor) -> Tensor:
        """f(W_down v)."""
        from torch.nn import functional

        match self.activation:
            case "identity":
                return down
            case "gelu":
                return functional.gelu(down)
            case "relu":
                return functional.relu(down)
            case "tanh":
                return down.tanh()
        raise ValueError(f"unknown activation {self.activation}")

    def slot_applies(self, slots: Sequence[str], candidate: str) -> bool:
        """Whether a space that names `slots` offers the slot `candidate` to this kind.

        For a kind of linears, `attention` and `mlp` stand for the linears inside.
        """
        if candidate not in self.slots:
            return False
        return candidate in slots or candidate.partition(".")[0] in slots
