"""What an experiment does to its training rows before anything sees them."""

from __future__ import annotations

import dataclasses

from espalier_runtime import contract
from espalier_runtime.robustness.label_flips import flip_labels
from espalier_runtime.robustness.sub_sampling import sub_sample
from espalier_runtime.robustness.word_swaps import swap_words
from espalier_runtime.tasks.task import TaskData


def perturbed(task: TaskData, perturbation: contract.DataPerturbation | None) -> TaskData:
    """The task with perturbed training rows; its evaluation rows are left as they are."""
    if perturbation is None or perturbation.ratio == 0:
        return task
    ratio, seed, classes = perturbation.ratio, perturbation.seed, len(task.labels)
    match perturbation.data:
        case "labels":
            rows = flip_labels(task.train, classes, ratio, seed)
        case "rows":
            rows = sub_sample(task.train, classes, ratio, seed)
        case "words":
            rows = swap_words(task.train, ratio, seed)
    return dataclasses.replace(task, train=rows)
