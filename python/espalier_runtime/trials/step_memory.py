"""Measures what a step keeps in memory: what each layer and adapter saves for backward, and the most that is held."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from espalier_runtime.structure.measured import TRAINED_BYTES, AdapterCost, StepMemory
from espalier_runtime.structure.space import Candidate
from espalier_runtime.training.model import AdaptedModel
from espalier_runtime.trials.calibrate import Workload
from espalier_runtime.trials.timeline import watched


def measure_memory(work: Workload, part: Sequence[int]) -> StepMemory:
    """The memory of a step whose largest part, of those that go through the model at once, are the rows `part`."""
    layers = range(work.backbone.layers)
    plain = _saved(work, part, ())
    saved = tuple(float(plain.at["leave", layer] - plain.at["enter", layer]) for layer in layers)
    above: dict[str, float] = {}
    for layer in layers:
        kept = {
            site.name: 0.0 if site.slot == "block" else float(plain.at["leave", layer] - plain.at["pass", site.module])
            for site in work.backbone.sites
            if site.layer == layer
        }
        above |= kept
    adapters, inputs = _adapters(work, part, saved, plain)
    without = StepMemory(0.0, saved, above, adapters, inputs).price(work.space.candidates)
    everything = work.model(work.space.candidates)
    full = without.of(range(len(work.space.candidates)))
    return StepMemory(peak_bytes(work, everything, part) - full, saved, above, adapters, inputs)


def peak_bytes(work: Workload, model: AdaptedModel, part: Sequence[int], gates: Tensor | None = None) -> float:
    """The most bytes of tensors that are held in a training step on the rows `part`, the weights included.

    The optimiser's moments count; the corpus and other models do not.
    """
    trained = [weight for weight in model.trained() if weight.requires_grad]
    owned = {id(t): t for t in [*work.backbone.model.parameters(), *work.backbone.model.buffers(), *model.parameters()]}
    still = sum(t.numel() * t.element_size() for t in owned.values())
    # Gradients and moments beside the weights themselves.
    still += (TRAINED_BYTES - 4) * sum(weight.numel() for weight in trained)
    for weight in trained:
        weight.grad = torch.zeros_like(weight)
    with model.adapters.attached(work.backbone.model):
        taken = _peak_of(lambda: _pass(work, model, part, gates), work.backbone.device)
    for weight in trained:
        weight.grad = None
    return float(still + taken)


def _pass(work: Workload, model: AdaptedModel, part: Sequence[int], gates: Tensor | None) -> None:
    loss = model.losses(work.corpus.batch(part), gates).sum()
    loss.backward()  # type: ignore[no-untyped-call]


def _peak_of(run: object, device: torch.device) -> int:
    assert callable(run)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        return int(torch.cuda.max_memory_allocated(device) - before)
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watch:
        run()
    held, peak = 0, 0
    for event in watch.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


class _Saved:
    """What a forward pass saved: bytes at each place, and which tensor each module read."""

    def __init__(self) -> None:
        self.total = 0
        self.at: dict[tuple[str, int | str], int] = {}
        self.read: dict[str, int] = {}

    def mark(self, place: str, which: int | str) -> None:
        self.at[place, which] = self.total


def _saved(work: Workload, part: Sequence[int], candidates: Sequence[Candidate]) -> _Saved:
    """A forward pass over `part` with gradients through all layers."""
    model = work.model(candidates)
    owned = [*model.parameters(), *model.buffers(), *work.backbone.model.parameters(), *work.backbone.model.buffers()]
    seen = {tensor.untyped_storage().data_ptr() for tensor in owned}
    found = _Saved()

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            found.total += storage.nbytes()
        return tensor

    handles = [
        work.backbone.model.get_submodule(path).register_forward_pre_hook(
            lambda module, args, path=path: found.read.update({path: args[0].data_ptr()} if args else {})  # noqa: ARG005
        )
        for path in {site.module for site in work.backbone.sites if site.slot != "block"}
    ]
    try:
        with (
            model.adapters.attached(work.backbone.model),
            watched(work.backbone, found.mark, through=True),
            torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        ):
            # Held until here: a freed tensor's place would be taken for another's.
            loss = model.losses(work.corpus.batch(part), None).sum()
            del loss
    finally:
        for handle in handles:
            handle.remove()
    return found


def _adapters(
    work: Workload, part: Sequence[int], plain: Sequence[float], unadapted: _Saved
) -> tuple[dict[str, AdapterCost], dict[str, str]]:
    """By "slot/kind" what a kind keeps there, and the name of the input it keeps, where it keeps the site's input."""
    groups: dict[str, dict[int, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
    for candidate in work.space.candidates:
        groups[f"{candidate.site.slot}/{candidate.kind}"][candidate.site.layer].append(candidate)
    kept = _kept_beside(work, part, plain, {name: list(by_layer.values()) for name, by_layer in groups.items()})
    costs, inputs = {}, {}
    for name, by_layer in groups.items():
        every = by_layer[max(by_layer)]
        few, all_of_it = every[:1], every
        small, large = kept[name, False], kept[name, True]
        more = sum(c.size for c in all_of_it) - few[0].size
        unit = max(0.0, large - small) / more if more else 0.0
        costs[name] = AdapterCost(max(0.0, small - unit * few[0].size), unit)
        if work.space.kinds[every[0].kind].reads == "input" and every[0].site.module in unadapted.read:
            inputs[name] = f"input {_name_of_input(unadapted, every[0], work)}"
    return costs, inputs


def _kept_beside(
    work: Workload, part: Sequence[int], plain: Sequence[float], groups: Mapping[str, Sequence[Sequence[Candidate]]]
) -> dict[tuple[str, bool], float]:
    """By (group, whether all its chunks are there or only the first) what a layer keeps more than in `plain`.

    A group has the same chunks in each of its layers, so that a pass measures as many groups as there are layers, each
    in one of its own.
    """
    waiting = [(name, whole) for name in groups for whole in (False, True)]
    found: dict[tuple[str, bool], float] = {}
    while waiting:
        taken: dict[int, tuple[str, bool]] = {}
        chosen: list[Candidate] = []
        for name, whole in waiting:
            free = [chunks for chunks in groups[name] if chunks[0].site.layer not in taken]
            if free:
                chunks = max(free, key=lambda chunks: chunks[0].site.layer)
                taken[chunks[0].site.layer] = (name, whole)
                chosen += chunks if whole else chunks[:1]
        saved = _saved(work, part, chosen)
        for layer, measured in taken.items():
            found[measured] = float(saved.at["leave", layer] - saved.at["enter", layer]) - plain[layer]
        waiting = [entry for entry in waiting if entry not in found]
    return found


def _name_of_input(unadapted: _Saved, candidate: Candidate, work: Workload) -> str:
    """The first slot of the layer that reads the same tensor."""
    read = unadapted.read[candidate.site.module]
    of_layer = [site for site in work.backbone.sites if site.layer == candidate.site.layer and site.slot != "block"]
    return next(site.slot for site in of_layer if unadapted.read.get(site.module) == read)
