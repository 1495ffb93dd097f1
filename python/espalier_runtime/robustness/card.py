"""The robustness card: a fitted structure beside its rivals, a curve for each task and perturbation, and its area."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from espalier_runtime import contract
from espalier_runtime.robustness.rounding import BITS
from espalier_runtime.stats import interval
from espalier_runtime.tasks.metrics import range_of


def area(ratios: Sequence[float], scores: Sequence[float]) -> float:
    """The area under the curve by trapezoids, divided by the range of `ratios`: the mean score over the range."""
    return float(np.trapezoid(scores, ratios) / (ratios[-1] - ratios[0]))


def card(
    plan: contract.Plan,
    results: Sequence[contract.TrialResult],
    measured: Sequence[contract.TrialRobustness],
    perturbations: Sequence[str],
    ratios: Sequence[float],
) -> contract.Robustness:
    """The card of a run's finished trials; `results` and `measured` are in the same order.

    A method's score at a seed is the mean over its draws, intervals are over seeds, and areas are compared with the
    answer's on the seeds of both.
    """
    made = _Card(results, measured, [0.0, *ratios])
    methods = [str(method.name) for method in plan.methods if made.seeds(str(method.name))]
    tasks = [task.name for task in plan.tasks]
    answer = str(plan.methods[0].name)
    return contract.Robustness.model_validate(
        {
            "version": 1,
            "run": "",
            "ratios": [0.0, *ratios],
            "rows": None,
            "curves": [
                made.curve(task, method, answer, name)
                for task in tasks
                for name in perturbations
                for method in methods
                if made.has(method, name)
            ],
            "rounding": [made.rounding(task, method) for task in tasks for method in methods],
            "leftOut": [
                {"method": method, "perturbation": name, "reason": made.reason(method, name)}
                for method in methods
                for name in perturbations
                if not made.has(method, name)
            ],
            "warnings": [],
            "seconds": 0.0,
        }
    )


class _Card:
    def __init__(
        self,
        results: Sequence[contract.TrialResult],
        measured: Sequence[contract.TrialRobustness],
        ratios: Sequence[float],
    ) -> None:
        self._both = list(zip(results, measured, strict=True))
        self._ratios = ratios

    def seeds(self, method: str) -> list[int]:
        return sorted({result.seed for result, _ in self._both if result.method == method})

    def has(self, method: str, perturbation: str) -> bool:
        return not any(perturbation in found.left_out for result, found in self._both if result.method == method)

    def reason(self, method: str, perturbation: str) -> str:
        return next(
            f.left_out[perturbation] for r, f in self._both if r.method == method and perturbation in f.left_out
        )

    def curve(self, task: str, method: str, answer: str, perturbation: str) -> dict[str, object]:
        lines = self._lines(task, method, perturbation)
        areas = {seed: area(self._ratios, line) for seed, line in lines.items()}
        theirs = {seed: area(self._ratios, line) for seed, line in self._lines(task, answer, perturbation).items()}
        differences = [theirs[seed] - own for seed, own in areas.items() if seed in theirs]
        compared = method != answer and len(differences) > 0
        scores = [result.tasks[task] for result, _ in self._both if result.method == method]
        within = range_of([scores[0].metric])
        return {
            "task": task,
            "method": method,
            "metric": scores[0].metric,
            "perturbation": perturbation,
            "seeds": len(lines),
            "parameters": float(np.mean([score.parameters for score in scores])),
            "points": [
                {"ratio": ratio, "mean": float(np.mean(at)), "ci95": interval(at, within=within)}
                for ratio, at in zip(self._ratios, zip(*lines.values(), strict=True), strict=True)
            ],
            "area": float(np.mean(list(areas.values()))),
            "areaCi95": interval(list(areas.values()), within=within),
            "difference": float(np.mean(differences)) if compared else None,
            "differenceCi95": interval(differences) if compared else None,
        }

    def rounding(self, task: str, method: str) -> dict[str, object]:
        clean = self._by_seed(method, lambda found: [float(found.tasks[task].clean)])
        rounded = self._by_seed(method, lambda found: [float(found.tasks[task].rounded or 0.0)])
        changes = [rounded[seed][0] - clean[seed][0] for seed in clean]
        return {
            "task": task,
            "method": method,
            "bits": BITS,
            "seeds": len(clean),
            "clean": float(np.mean(list(clean.values()))),
            "rounded": float(np.mean(list(rounded.values()))),
            "change": float(np.mean(changes)),
            "ci95": interval(changes),
        }

    def _lines(self, task: str, method: str, perturbation: str) -> dict[int, list[float]]:
        """By seed: the score at each ratio, from 0 on."""

        def line(found: contract.TrialRobustness) -> list[float]:
            mine = found.tasks[task]
            return [float(mine.clean), *map(float, mine.scores[perturbation])]

        if not self.has(method, perturbation):
            return {}
        return self._by_seed(method, line)

    def _by_seed(self, method: str, of: Callable[[contract.TrialRobustness], list[float]]) -> dict[int, list[float]]:
        return {
            seed: np.mean(
                [of(found) for result, found in self._both if result.method == method and result.seed == seed], axis=0
            ).tolist()
            for seed in self.seeds(method)
        }
