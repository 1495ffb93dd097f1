"""How often comparisons of a run call two methods different that are equal, and find a difference that is as large as
what they say they could have seen.

Simulated are experiments of `seeds` seeds and `items` evaluated rows. Method m with seed s is right on item i where

    hardness_i + own_{m,i} + luck_{m,s} + noise_{m,s,i} > 0

with hardness ~ N(1.5, 2^2), noise ~ N(0, 1), own ~ N(0, own^2): what a method does with an item whatever the seed, and
luck ~ N(0, luck^2): what a seed does on all items. Both methods have the same distributions, so that every difference
that is called one is false. For the last column the first method is moved until its true difference is what comparisons
of the design say they find in 80 % of experiments.

    PYTHONPATH=python python scripts/false_positives.py [--experiments 1000] [--resamples 300] [--json]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from espalier_runtime.stats import (
    PairedDifference,
    PairedScores,
    difference_of,
    over_tasks,
    paired_scores,
    smallest_detectable_difference,
    verdict,
)

SEEDS = (1, 2, 3, 5)
ITEMS = (50, 500)
#: (luck, own) of the seeds and items.
NATURES = ((0.0, 0.0), (0.0, 1.0), (0.3, 0.5), (1.0, 0.0))
LEVEL = 0.05


@dataclass(frozen=True)
class Line:
    """Shares of the experiments, and the mean of what their comparisons could see, as a difference of accuracies."""

    seeds: int
    items: int
    luck: float
    own: float
    tasks: int
    called_different: float
    called_better: float
    could_see: float
    found: float | None


def main() -> None:
    """Prints a line a design."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    designs = [(s, i, luck, own, 1) for luck, own in NATURES for i in ITEMS for s in SEEDS if s > 1 or luck == 0]
    designs += [(3, 500, luck, own, 3) for luck, own in NATURES]
    if not options.json:
        print(f"{options.experiments} experiments a line, level {LEVEL:.0%}\n")
        print("| seeds | items | tasks | luck | own | called different | called better | could see | found |")
        print("| ----: | ----: | ----: | ---: | --: | ---------------: | ------------: | --------: | ----: |")
    lines = []
    for design in designs:
        line = simulate(*design, experiments=options.experiments, resamples=options.resamples)
        lines.append(line)
        if not options.json:
            found = "" if line.found is None else f"{line.found:.0%}"
            print(
                f"| {line.seeds:>5} | {line.items:>5} | {line.tasks:>5} | {line.luck:>4} | {line.own:>3}"
                f" | {line.called_different:>16.1%} | {line.called_better:>13.1%}"
                f" | {line.could_see:>9.1%} | {found:>5} |",
                flush=True,
            )
    if options.json:
        print(json.dumps([asdict(line) for line in lines], indent=2))


def simulate(seeds: int, items: int, luck: float, own: float, tasks: int, *, experiments: int, resamples: int) -> Line:
    """One line of the table."""

    def run(shift: float, count: int) -> list[PairedDifference]:
        random = np.random.default_rng([seeds, items, tasks, round(10 * luck), round(10 * own)])
        return [difference_of(over_tasks([task(random, shift) for _ in range(tasks)])) for _ in range(count)]

    def task(random: np.random.Generator, shift: float) -> PairedScores:
        a, b = answers(random, seeds, items, luck, own, shift)
        return paired_scores("accuracy", np.ones(items), a, b, resamples=resamples, seed=int(random.integers(2**31)))

    equal = run(0.0, experiments)
    verdicts = [verdict(found.difference, found.interval, found.p, LEVEL) for found in equal]
    could_see = float(np.mean([smallest_detectable_difference(found, LEVEL) or 0.0 for found in equal]))
    shift = shift_for(could_see, luck, own)
    found = None
    if shift is not None:
        planted = run(shift, max(1, experiments // 4))
        found = float(np.mean([verdict(p.difference, p.interval, p.p, LEVEL) == "better" for p in planted]))
    return Line(
        seeds,
        items,
        luck,
        own,
        tasks,
        float(np.mean([word != "cannot be told apart" for word in verdicts])),
        float(np.mean([word == "better" for word in verdicts])),
        could_see,
        found,
    )


def answers(
    random: np.random.Generator, seeds: int, items: int, luck: float, own: float, shift: float
) -> NDArray[np.float64]:
    """What two methods got right, (2, seeds, items); the first is `shift` ahead."""
    hardness = 1.5 + 2 * random.normal(size=items)
    of_item = own * random.normal(size=(2, 1, items))
    of_seed = luck * random.normal(size=(2, seeds, 1))
    of_seed[0] += shift
    right: NDArray[np.bool_] = hardness + of_item + of_seed + random.normal(size=(2, seeds, items)) > 0
    return right.astype(np.float64)


def shift_for(difference: float, luck: float, own: float) -> float | None:
    """The shift by which a method's expected accuracy is `difference` higher; None where none can be."""
    from scipy import stats

    spread = float(np.sqrt(4 + own**2 + luck**2 + 1))
    base = float(stats.norm.cdf(1.5 / spread))
    return None if base + difference >= 0.999 else float(spread * stats.norm.ppf(base + difference) - 1.5)


if __name__ == "__main__":
    main()
