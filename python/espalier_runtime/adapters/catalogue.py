"""What `espalier kinds` lists: every kind's equation, source, cost on a backbone, and where it can be taken."""

from __future__ import annotations

from collections.abc import Sequence

from espalier_runtime.adapters.kinds import KindSpec, kind_of
from espalier_runtime.backbone.sites import Site


def catalogue(specs: Sequence[KindSpec], sites: Sequence[Site]) -> list[dict[str, object]]:
    """A row a kind. `slots`: where the backbone lets it attach, with the parameters of its smallest size in one layer.

    `total`: its parameters with the largest size at every site.
    """
    rows: list[dict[str, object]] = []
    for spec in specs:
        kind = kind_of(spec)
        fitting = [site for site in sites if kind.applies([site.slot], site)]
        rows.append(
            {
                "kind": kind.name,
                "equation": kind.equation,
                "source": kind.source,
                "sizes": list(kind.sizes),
                "slots": {s.slot: kind.parameters(s, kind.sizes[0]) for s in fitting if s.layer == fitting[0].layer},
                "total": sum(kind.parameters(site, kind.sizes[-1]) for site in fitting),
                "mergeable": kind.mergeable,
                "peft": kind.peft,
            }
        )
    return rows
