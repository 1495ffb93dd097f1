"""What can be told of a run's methods before anything is trained."""

from __future__ import annotations

from pathlib import Path

from espalier_runtime import contract
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.errors import InputError
from espalier_runtime.search.controller import read_controller
from espalier_runtime.search.eva import check_kinds
from espalier_runtime.search.fixed import check_fits
from espalier_runtime.search.from_structure import adopt
from espalier_runtime.structure.limits import Limits
from espalier_runtime.structure.space import Space


def check_methods(plan: contract.Plan, space: Space, limits: Limits, backbone: Backbone) -> None:
    """Raises InputError for a method that could only fail: its layers, kinds, structure or controller do not fit."""
    asked = _asked(plan)
    for place, method in asked:
        layers = getattr(method, "layers", None)
        if layers is not None and not space.of_last(layers, backbone.layers):
            raise InputError(
                f"{place}.layers: the space has no candidate in the last {layers} layers",
                mend=f"Raise {place}.layers, or widen space.layers.",
            )
    for _, method in asked:
        name = str(getattr(method, "name", None) or getattr(method, "method", ""))
        match method:
            case contract.EvaMethod():
                check_kinds(space.within(space.of_last(method.layers, backbone.layers)), name)
            case contract.UniformMethod() | contract.TopLayersMethod():
                check_fits(space, limits, method.kind, name)
            case contract.FromMethod():
                adopt(method, backbone.sites, space, limits, [task.name for task in plan.tasks], name)
            case contract.TamsMethod() if method.controller is not None:
                searched = space.within(space.of_last(method.layers, backbone.layers))
                ids = [candidate.id for candidate in searched.candidates]
                read_controller(Path(method.controller), ids, backbone.fingerprint, name)


def _asked(plan: contract.Plan) -> list[tuple[str, object]]:
    """Every method of the plan, and what a race or a start runs for it, by its place in the experiment."""
    asked: list[tuple[str, object]] = [(f"methods[{index}]", method) for index, method in enumerate(plan.methods)]
    for place, method in list(asked):
        match method:
            case contract.RaceMethod():
                asked += [(f"{place}.proposals[{index}]", proposal) for index, proposal in enumerate(method.proposals)]
            case contract.FromMethod():
                asked.append((f"{place}.search", method.search))
    return asked
