"""What a race costs: rows trained on and rows read, in fits of the training's length."""

from __future__ import annotations

import math

from espalier_runtime import contract
from espalier_runtime.search.problem import SearchProblem
from espalier_runtime.training.loop import Report
from espalier_runtime.training.schedule import step_count

#: Passes through the frozen backbone: forward and backward of a row trained on, forward of one read.
TRAINED, READ = 2, 1
#: Held-out rows that a round reads at the least, where there are so many.
LEAST_ROWS = 32


class RaceCost:
    """Counts what was spent of `limit` fits."""

    def __init__(self, problem: SearchProblem, limit: float) -> None:
        training = problem.training
        self._batch, self._epochs = training.batch_size, training.epochs
        #: Steps of a fit.
        self.fit_steps = step_count(len(problem.corpus), training, training.epochs)
        self._fit = TRAINED * self._batch * self.fit_steps
        self._limit = limit * self._fit
        self._passes = 0.0
        self._told = 0
        self.steps_taken = 0

    @property
    def spent(self) -> float:
        """In fits."""
        return self._passes / self._fit

    @property
    def left(self) -> float:
        """In fits."""
        return max(0.0, (self._limit - self._passes) / self._fit)

    def expected(self, method: object) -> float:
        """What the search of a proposal that trains will cost, in fits."""
        if not hasattr(method, "epochs"):
            return 0.0
        return float((method.epochs or self._epochs) / self._epochs * _batches(method))

    def searched(self, method: object, steps: int) -> None:
        """A proposal's search took so many steps."""
        self._passes += TRAINED * self._batch * steps * _batches(method)
        if getattr(method, "ablation", None) is not None:
            self._passes += _ablation_rows(method)
        self.steps_taken += steps

    def fitted(self, steps: int, read: int) -> None:
        """An entrant was fitted for so many steps and read on so many rows."""
        self._passes += TRAINED * self._batch * steps + READ * read
        self.steps_taken += steps

    def round(self, entrants: int, rounds: int, held_out: int) -> tuple[int, int]:
        """(steps of each entrant's fit, held-out rows it is read on), if as much goes to each of the `rounds` left.

        No fit is longer than a whole one. Reading takes a quarter of what an entrant has, or what `LEAST_ROWS` take.
        """
        each = (self._limit - self._passes) / rounds / entrants
        rows = min(held_out, max(LEAST_ROWS, int(each / 4 / READ)))
        return min(self.fit_steps, int((each - READ * rows) // (TRAINED * self._batch))), rows

    def reporter(self, report: Report) -> Report:
        """Tells a loop's steps as steps of the whole race, which are as many as its limit is worth."""
        before, worth = self._passes, TRAINED * self._batch
        whole = math.ceil(self._limit / worth)

        def within(step: int, steps: int, loss: float) -> None:  # noqa: ARG001
            self._told = max(self._told, min(whole, int(before / worth) + step))
            report(self._told, whole, loss)

        return within


def _batches(method: object) -> int:
    """Batches that a step of the method's search trains on."""
    return 2 if getattr(method, "level", "single") == "bilevel" else 1


def _ablation_rows(method: object) -> float:
    """Rows that the check of candidates near the cut reads, at most."""
    from espalier_runtime.search.ablation import ROWS

    assert isinstance(method, contract.BudgetedMethod | contract.PaperMethod)
    assert method.ablation is not None
    return READ * ROWS * (2 * method.ablation.candidates + 1)
