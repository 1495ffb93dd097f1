"""Measures how a run's fitted models stand up to noise: every trial at every perturbation and ratio, each only once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from espalier_runtime import contract
from espalier_runtime.errors import InputError
from espalier_runtime.records.directory import RunDirectory
from espalier_runtime.records.files import write_json
from espalier_runtime.robustness.activation import noisy_activations
from espalier_runtime.robustness.card import card
from espalier_runtime.robustness.chance import random_of
from espalier_runtime.robustness.input import noisy_input
from espalier_runtime.robustness.path import DamagedPaths, has_paths
from espalier_runtime.robustness.rounding import rounded_weights
from espalier_runtime.robustness.weight import noisy_weights
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.training.evaluate import Predictions, predict
from espalier_runtime.training.model import AdaptedModel
from espalier_runtime.trials.fit import seen_by
from espalier_runtime.trials.fitted import FittedTrial, load_fitted
from espalier_runtime.trials.prepare import Prepared

#: Called with (trial, evaluations done, of how many); it may raise to cancel.
Told = Callable[[str, int, int], None]

Perturbation = str
PERTURBATIONS: tuple[Perturbation, ...] = ("input", "activation", "path", "weight")


@dataclass(frozen=True)
class Wanted:
    """`ratios` above 0, growing; `rows`: evaluation rows a task at most, None for all."""

    perturbations: Sequence[Perturbation] = PERTURBATIONS
    ratios: Sequence[float] = (0.05, 0.1, 0.15, 0.2)
    rows: int | None = None


def measure(prepared: Prepared, directory: RunDirectory, wanted: Wanted, told: Told) -> contract.Robustness:
    """Measures what is not measured yet, writes each trial's robustness.json and then the run's, and returns it.

    Noise belongs to a trial's seed, so that all methods meet the same. Raises InputError where no trial is finished.
    """
    started = time.perf_counter()
    done = [entry for entry in prepared.plan.trials if directory.trial(entry.id).result.exists()]
    results = {entry.id: _result(directory, entry.id) for entry in done}
    trials = [entry for entry in done if results[entry.id].status == "done"]
    if not trials:
        raise InputError(
            f"{directory.root}: no trial of this run is finished, so there is nothing to perturb",
            mend="Let the run finish: espalier run --resume RUN.",
        )
    splits = [_sample(corpus, wanted.rows, prepared) for corpus in prepared.evaluation.open("the robustness card")]
    bench = _Bench(prepared, splits, wanted)
    warnings: list[str] = []
    measured = []
    whole = len(trials) * len(splits) * (2 + len(wanted.perturbations) * len(wanted.ratios))
    for place, trial in enumerate(trials):
        share = whole // len(trials)

        def step(count: int, trial: str = trial.id, before: int = place * share) -> None:
            told(trial, min(whole, before + count), whole)

        step(0)
        found = bench.trial(trial, directory, step)
        measured.append(found)
        if wanted.rows is None:
            warnings += _unlike(found, results[trial.id])
        step(share)
    made = card(
        prepared.plan, [results[trial.id] for trial in trials], measured, wanted.perturbations, wanted.ratios
    ).model_copy(
        update={
            "run": str(directory.root),
            "rows": wanted.rows,
            "warnings": warnings,
            "seconds": time.perf_counter() - started,
        }
    )
    write_json(directory.robustness, made.model_dump(by_alias=True))
    return made


class _Bench:
    """The splits, clean and perturbed, and what is done to a model on them."""

    def __init__(self, prepared: Prepared, splits: Sequence[Corpus], wanted: Wanted) -> None:
        self._prepared, self._splits, self._wanted = prepared, splits, wanted
        self._noisy: dict[tuple[int, float, int], Corpus] = {}
        self._methods = {str(method.name): method for method in prepared.plan.methods}

    def trial(self, trial: contract.Trial, run: RunDirectory, step: Callable[[int], None]) -> contract.TrialRobustness:
        """What is known of the trial already, with what is wanted beside."""
        directory, wanted = run.trial(trial.id), self._wanted
        known: contract.TrialRobustness | None = None
        if directory.robustness.exists():
            known = contract.TrialRobustness.model_validate_json(directory.robustness.read_text())
            if known.ratios != list(wanted.ratios) or known.rows != wanted.rows:
                known = None
        kept = {} if known is None else known.tasks
        left_out = {} if known is None else dict(known.left_out)
        missing = [
            name
            for name in wanted.perturbations
            if name not in left_out and any(name not in entry.scores for entry in kept.values() or [_NOTHING])
        ]
        if known is not None and not missing:
            return known
        fitted = load_fitted(self._prepared, trial, self._methods[trial.method], directory)
        if "path" in missing and not self._can_be_damaged(fitted.model):
            missing.remove("path")
            left_out["path"] = "it has no adapters: what it trains are the backbone's own weights"
        count, tasks = 0, {}
        for index, task in enumerate(self._prepared.tasks):
            before = kept.get(task.name)
            scores = {} if before is None else dict(before.scores)
            clean = self._score(fitted, index, self._splits[index]) if before is None else float(before.clean)
            for name in missing:
                scores[name] = []
                for ratio in wanted.ratios:
                    scores[name].append(self._under(name, ratio, fitted, index, trial.seed))
                    step(count := count + 1)
            rounded = before.rounded if before is not None else self._rounded(fitted, index)
            step(count := count + 2)
            tasks[task.name] = contract.TaskRobustness(clean=clean, rounded=rounded, scores=scores)
        found = contract.TrialRobustness(
            version=1, trial=trial.id, ratios=list(wanted.ratios), rows=wanted.rows, tasks=tasks, left_out=left_out
        )
        write_json(directory.robustness, found.model_dump(by_alias=True))
        return found

    def _under(self, name: Perturbation, ratio: float, fitted: FittedTrial, task: int, seed: int) -> float:
        model, split = fitted.model, self._splits[task]
        match name:
            case "input":
                return self._score(fitted, task, self._noisy_split(task, ratio, seed))
            case "activation":
                return under_activation_noise(self._prepared, fitted, task, split, ratio, seed).score
            case "path":
                return self._score(damaged(fitted, task, ratio, seed), task, split)
            case "weight":
                with noisy_weights(model.adapters, ratio, seed):
                    return self._score(fitted, task, split)
        raise InputError(f"perturbation: {name!r} is not one of {', '.join(PERTURBATIONS)}")

    def _rounded(self, fitted: FittedTrial, task: int) -> float:
        with rounded_weights(fitted.model.adapters):
            return self._score(fitted, task, self._splits[task])

    def _noisy_split(self, task: int, ratio: float, seed: int) -> Corpus:
        key = (task, ratio, seed)
        if key not in self._noisy:
            tokenizer = self._prepared.backbone.tokenizer
            self._noisy[key] = noisy_input(self._splits[task], ratio, len(tokenizer), tokenizer.all_special_ids, seed)
        return self._noisy[key]

    def _can_be_damaged(self, model: AdaptedModel) -> bool:
        """A method that adapts nothing is never hurt; one without adapters has no such noise."""
        return model.adapters.lowest_layer is None or has_paths(self._prepared.backbone.model, model.adapters)

    def _score(self, fitted: FittedTrial, task: int, corpus: Corpus) -> float:
        # As the trial evaluated it: where nothing is adapted, the frozen features stand for the backbone.
        if any(corpus is split for split in self._splits):
            corpus = seen_by(self._prepared, fitted.model.adapters, corpus)
        return scored(self._prepared, fitted, task, corpus).score


def scored(prepared: Prepared, fitted: FittedTrial, task: int, corpus: Corpus) -> Predictions:
    """The fitted model's predictions on one task's corpus."""
    return predict(fitted.model, corpus, fitted.rows, prepared.tasks[task].metric, prepared.plan.training.max_tokens)


def under_activation_noise(
    prepared: Prepared, fitted: FittedTrial, task: int, corpus: Corpus, ratio: float, seed: int
) -> Predictions:
    """The predictions with every layer's states perturbed, those below the lowest adapter included.

    What is kept of the frozen layers is neither read nor written. Some methods take padded batches only: so that all
    meet the same noise, all do here.
    """
    with noisy_activations(prepared.backbone, ratio, seed):
        return scored(prepared, fitted, task, corpus.uncached().padded())


def damaged(fitted: FittedTrial, task: int, ratio: float, seed: int) -> FittedTrial:
    """The task's own model, with adapters that are damaged with probability `ratio`."""
    own, rows = fitted.model.alone(task, fitted.rows)
    heads = [(name.replace("/", "."), own.head(index)) for index, name in enumerate(own.heads)]
    return FittedTrial(AdaptedModel(own.backbone, DamagedPaths(own.adapters, ratio, seed), heads, own.pooling), rows)


_NOTHING = contract.TaskRobustness(clean=0.0, rounded=None, scores={})


def _result(directory: RunDirectory, trial: str) -> contract.TrialResult:
    return contract.TrialResult.model_validate_json(directory.trial(trial).result.read_text())


def _sample(corpus: Corpus, rows: int | None, prepared: Prepared) -> Corpus:
    """At most `rows` rows, drawn once for all methods."""
    if rows is None or len(corpus) <= rows:
        return corpus
    chosen = random_of(0, "rows", prepared.names[corpus.task_ids[0]]).permutation(len(corpus))[:rows]
    return corpus.without(sorted(set(range(len(corpus))) - set(np.asarray(chosen).tolist())))


def _unlike(found: contract.TrialRobustness, result: contract.TrialResult) -> list[str]:
    """On all rows the clean score is the trial's; where it is not, another device or version computed it."""
    return [
        f"{found.trial}: without noise {task} scores {entry.clean}, but {result.tasks[task].score} was recorded"
        for task, entry in found.tasks.items()
        if entry.clean != result.tasks[task].score
    ]
