"""How far a run is: each trial's stages weigh what they cost in forward passes over the data."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from espalier_runtime import contract
from espalier_runtime.baselines.methods import Baseline
from espalier_runtime.search.methods import search_passes

#: Progress events are not sent more often than this.
SECONDS_BETWEEN = 0.2

Emit = Callable[[dict[str, object]], None]


class RunProgress:
    """Turns steps of a trial's stage into the share of the whole run that is done."""

    def __init__(self, plan: contract.Plan, layers: int, emit: Emit, floor: float = 0.0) -> None:
        """`floor` is how far the run had come before: it repeats steps, but its progress never goes back."""
        self._emit, self._floor = emit, floor
        self._weights: dict[str, dict[str, float]] = {}
        swept: set[str] = set()
        # A race tries several rates by itself.
        races = {str(method.name) for method in plan.methods if isinstance(method, contract.RaceMethod)}
        for trial in plan.trials:
            stages = _weights(plan, trial, layers)
            # A method is swept once, before the first of its trials.
            sweep = 0.0 if plan.tune is None or trial.method in swept | races else _sweep(plan.tune, stages)
            swept.add(trial.method)
            self._weights[trial.id] = {"tune": sweep, **stages}
        self._total = sum(sum(stages.values()) for stages in self._weights.values())
        self._before = 0.0
        self._last = 0.0

    def skip(self, trial: str) -> None:
        """The trial was finished by an earlier run."""
        self._before += sum(self._weights[trial].values())

    def step(self, trial: str, stage: str, step: int, steps: int, loss: float | None) -> None:
        """One step of a stage is done."""
        now = time.monotonic()
        if step < steps and now - self._last < SECONDS_BETWEEN:
            return
        self._last = now
        weights = self._weights[trial]
        earlier = 0.0
        for name, weight in weights.items():
            if name == stage:
                break
            earlier += weight
        done = self._before + earlier + weights[stage] * step / max(1, steps)
        self._emit(
            {
                "type": "progress",
                "trial": trial,
                "stage": stage,
                "step": step,
                "steps": steps,
                "loss": loss,
                "done": max(self._floor, min(1.0, done / self._total)),
            }
        )

    def finish(self, trial: str) -> None:
        """The trial is over, whether it failed or not."""
        self._before += sum(self._weights[trial].values())


def done_before(events: Path) -> float:
    """The share of the run that was done when it was stopped; 0 where it is new, or had ended by itself."""
    for line in reversed(events.read_text().splitlines()):
        event = json.loads(line)
        if event["type"] == "progress":
            return float(event["done"])
        if event["type"] == "run.finished" and event["status"] != "interrupted":
            return 0.0
    return 0.0


def trial_warnings(events: Path) -> list[str]:
    """What trials warned of, each once, in all the sittings that the run took."""
    entries = (json.loads(line) for line in events.read_text().splitlines())
    said = (f"{e['trial']}: {e['message']}" for e in entries if e["type"] == "warning" and e["trial"] is not None)
    return list(dict.fromkeys(said))


def _weights(plan: contract.Plan, trial: contract.Trial, layers: int) -> dict[str, float]:
    """Passes of a whole forward over the training rows; a backward costs as much for each layer it goes through."""
    method = next(m for m in plan.methods if m.name == trial.method)
    epochs = plan.training.epochs
    adapted = 1.0
    if isinstance(method, contract.HeadMethod):
        return {"search": 0.0, "fit": 0.02 * epochs, "evaluate": 0.02}
    if isinstance(method, contract.TopLayersMethod):
        adapted = min(1.0, method.layers / layers)
    if isinstance(method, Baseline):
        search = 2 * epochs if isinstance(method, contract.AdapterFusionMethod) else 0.0
    else:
        search = search_passes(method, epochs)
    return {"search": search, "fit": (1 + adapted) * epochs, "evaluate": 1.0 if search > 1 else 0.5}


def _sweep(tune: contract.Tune, stages: dict[str, float]) -> float:
    return len(tune.learning_rates) * (1 - tune.fraction) * (stages["search"] + stages["fit"])
