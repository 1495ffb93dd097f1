"""What all trials of a run share: backbone, space, tasks, token ids, and the frozen backbone's features."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.backbone.depth import pooled_layers
from espalier_runtime.backbone.heads import Head, balanced, pool, unfitted_head
from espalier_runtime.backbone.load import Backbone, load_backbone
from espalier_runtime.errors import InputError
from espalier_runtime.robustness.training_data import perturbed
from espalier_runtime.structure.limits import Limits
from espalier_runtime.structure.space import Space, build_space
from espalier_runtime.structure.stated import Costs, limits_of, reachable
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.tasks.load import load_task
from espalier_runtime.tasks.sealed import SealedSplits
from espalier_runtime.tasks.task import Example, TaskData
from espalier_runtime.tasks.tokenise import Sequences, encode_task
from espalier_runtime.training.execution import check_execution
from espalier_runtime.training.prefix_cache import PrefixCache
from espalier_runtime.trials.calibrate import Workload
from espalier_runtime.trials.device_costs import device_costs
from espalier_runtime.trials.method_checks import check_methods

#: From this share of the training rows on, rows that were cut are worth a warning.
WORTH_SAYING = 0.01


@dataclass
class Prepared:
    """Loaded once a run. `corpus` holds all tasks' training rows, `evaluation` one corpus a task, sealed.

    `whole` is the space as stated; `space` and `limits` hold the candidates that keep the limits alone. `costs` are
    those of steps over `work`. `cache` keeps what the backbone's frozen layers give.
    """

    plan: contract.Plan
    backbone: Backbone
    whole: Space
    space: Space
    limits: Limits
    work: Workload
    costs: Costs
    tasks: tuple[TaskData, ...]
    corpus: Corpus
    evaluation: SealedSplits
    warnings: tuple[str, ...]
    cache: PrefixCache | None = None
    _features: dict[int, Tensor] = field(default_factory=dict)
    _probes: dict[tuple[int, ...], list[Head]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(task.name for task in self.tasks)

    def at_rate(self, learning_rate: float | None) -> Prepared:
        """The same, trained at `learning_rate`; None leaves the plan's own."""
        if learning_rate is None:
            return self
        training = self.plan.training.model_copy(update={"learning_rate": learning_rate})
        return dataclasses.replace(self, plan=self.plan.model_copy(update={"training": training}))

    def features(self, corpus: Corpus) -> Tensor:
        """Pooled states (sequences, hidden) of the frozen, unadapted backbone; computed once for each corpus."""
        key = id(corpus)
        if key not in self._features:
            training = self.plan.training
            self._features[key] = (
                frozen_features(self.backbone, corpus, training)
                if self.cache is None or corpus.has_choices
                else self.cache.features(corpus, training.pooling)
            )
        return self._features[key]

    def compute_shared(self) -> None:
        """Computes now what the heads of every trial start from, so that its time counts as no trial's own."""
        if self.plan.training.head_init == "probe" and any(task.kind != "generation" for task in self.tasks):
            self.features(self.corpus)

    def held_out(self, seed: int) -> list[int]:
        """The rows that early stopping looks at, carved from train; empty where it is off."""
        stopping = self.plan.training.early_stopping
        if stopping is None:
            return []
        return self.corpus.held_out(stopping.fraction, seed)

    def new_heads(self, held_out: Sequence[int] = (), *, probe: bool | None = None) -> list[tuple[str, Head]]:
        """Fresh heads in the order of the tasks, started as `training.headInit` says, or as `probe` says."""
        wanted = self.plan.training.head_init == "probe" if probe is None else probe
        fresh = [self._head(task, index) for index, task in enumerate(self.tasks)]
        if wanted:
            key = tuple(held_out)
            if key not in self._probes:
                self._probes[key] = self._fit_probes(set(held_out))
            for head, fitted in zip(fresh, self._probes[key], strict=True):
                head.load_state_dict(fitted.state_dict())
        return list(zip(self.names, fresh, strict=True))

    def _head(self, task: TaskData, index: int) -> Head:
        values = torch.tensor([self.corpus.labels[row] for row in self.corpus.of_task(index)])
        layers = mixed_layers(self.plan.training, self.backbone)
        if task.kind in ("generation", "multipleChoice"):
            return unfitted_head(task.kind, task.labels, self.backbone, layers)
        if task.kind == "classification":
            training = self.plan.training
            weights = balanced(values.long(), len(task.labels)) if training.class_weights == "balanced" else None
            return Head(
                self.backbone.hidden,
                len(task.labels),
                class_weights=weights,
                label_smoothing=training.label_smoothing,
                layers=layers,
            )
        location, scale = float(values.mean()), float(values.std().clamp_min(1e-8))
        return Head(self.backbone.hidden, 1, location, scale, layers=layers)

    def _fit_probes(self, aside: set[int]) -> list[Head]:
        heads = []
        for index, task in enumerate(self.tasks):
            head = self._head(task, index)
            heads.append(head)
            if task.kind == "generation":
                continue
            rows = [row for row in self.corpus.of_task(index) if row not in aside]
            labels = torch.tensor([self.corpus.labels[row] for row in rows])
            features = self.features(self.corpus)[self.corpus.sequences(rows)]
            if task.kind == "multipleChoice":
                head.start_from_choices(features, [len(self.corpus.row(row)) for row in rows], labels)
            else:
                head.start_from_probe(features, labels, task.kind)
        return heads


def prepare(plan: contract.Plan, costs_file: Path | None = None) -> Prepared:
    """Loads what the plan names, and measures what steps cost unless `costs_file` says.

    Raises InputError, before any training, for everything that is wrong with the plan.
    """
    device = choose_device(plan.training)
    check_execution(plan.training, device)
    if plan.training.threads is not None:
        torch.set_num_threads(plan.training.threads)
    tasks = tuple(perturbed(load_task(task), plan.training.perturbation) for task in plan.tasks)
    written = [task for task in tasks if task.kind == "generation"]
    backbone = load_backbone(plan.backbone, device, language=bool(written))
    if backbone.tokenizer is None:
        raise InputError(
            f"backbone: {backbone.reference} ({backbone.family}) reads images, but every task is text",
            mend="Use a model of a text family; `espalier inspect` works for this one all the same.",
        )
    whole = build_space(plan.space, backbone.sites, len(tasks))
    _check_length(plan.training, backbone)
    for task in written:
        _check_generation(task, backbone, plan.training)
    speed = plan.training.speed
    # A head that mixes layers reads what the frozen ones give, too, and not the last of it alone.
    kept = speed.cache.enabled and plan.training.head_layers == "last"
    cache = PrefixCache(backbone, speed.cache.max_bytes, speed.cache.type) if kept else None
    corpus, evaluation = _encode(tasks, backbone, plan.training, cache)
    work = Workload(backbone, whole, corpus, plan.training, _unfitted_heads(tasks, backbone, plan.training))
    costs = device_costs(work, plan.space, costs_file)
    limits = limits_of(plan.budget, whole, backbone.parameters, costs)
    space = whole.within(reachable(limits))
    limits = limits.over(space.candidates)
    check_methods(plan, space, limits, backbone)
    warnings = [text for task in tasks for text in task.warnings]
    warnings += [
        f'task "{task.name}": there is no test split, so validation is the evaluation split'
        for task in tasks
        if task.evaluation_split == "validation"
    ]
    warnings += _reach(whole, space, limits)
    share = corpus.truncated / len(corpus)
    if share >= WORTH_SAYING:
        warnings.append(
            f"{corpus.truncated:,} of {len(corpus):,} training rows ({share:.0%}) are longer than"
            f" training.maxLength, {plan.training.max_length} tokens, and were cut"
        )
    return Prepared(
        plan, backbone, whole, space, limits, work, costs, tasks, corpus, evaluation, tuple(warnings), cache
    )


def mixed_layers(training: contract.Training, backbone: Backbone) -> int | None:
    """How many layers' states the heads mix, the embeddings among them; None where they read the last layer's."""
    return backbone.layers + 1 if training.head_layers == "mixed" else None


def _unfitted_heads(
    tasks: Sequence[TaskData], backbone: Backbone, training: contract.Training
) -> list[tuple[str, Head]]:
    layers = mixed_layers(training, backbone)
    return [(task.name, unfitted_head(task.kind, task.labels, backbone, layers)) for task in tasks]


def _reach(whole: Space, space: Space, limits: Limits) -> list[str]:
    """What the user should know where a budget leaves no choice, or makes it for whole layers."""
    if len(space.candidates) == len(whole.candidates) and limits.missed_by(range(len(space.candidates))) is None:
        return ["budget: the whole space keeps it, so that there is nothing to choose; lower it, or widen the space"]
    reached = {candidate.site.layer for candidate in space.candidates}
    beyond = sorted({candidate.site.layer for candidate in whole.candidates} - reached)
    if not beyond:
        return []
    names = f"layer {beyond[0]} is" if len(beyond) == 1 else f"layers {', '.join(map(str, beyond))} are"
    return [f"budget: {names} beyond its reach, so that no method adapts {'it' if len(beyond) == 1 else 'them'}"]


def choose_device(training: contract.Training) -> torch.device:
    """The device that `training.device` names. Raises InputError for cuda where there is none."""
    available = torch.cuda.is_available()
    if training.device == "cuda" and not available:
        raise InputError(
            'training.device: "cuda" was asked for, but torch finds no CUDA device',
            mend='Use "auto" or "cpu", or install a CUDA build of torch; `espalier doctor` shows what is found.',
        )
    return torch.device("cuda" if available and training.device != "cpu" else "cpu")


def frozen_features(backbone: Backbone, corpus: Corpus, training: contract.Training) -> Tensor:
    """Pooled states of the unadapted backbone, (sequences, hidden), or (sequences, layers, hidden) for mixing heads."""
    count, layers = len(corpus.sequences(range(len(corpus)))), mixed_layers(training, backbone)
    shape = (backbone.hidden,) if layers is None else (layers, backbone.hidden)
    features = torch.empty(count, *shape, device=backbone.device)
    with torch.no_grad():
        for rows in corpus.in_parts(training.max_tokens):
            inputs, places = corpus.batch(rows).inputs, corpus.sequences(rows)
            if layers is None:
                features[places] = pool(backbone.states(inputs), inputs.layout, training.pooling)
            else:
                features[places] = pooled_layers(backbone, inputs, training.pooling)
    return features


def _encode(
    tasks: Sequence[TaskData], backbone: Backbone, training: contract.Training, cache: PrefixCache | None
) -> tuple[Corpus, SealedSplits]:
    pad = backbone.tokenizer.pad_token_id or 0
    packed = training.speed.packed and backbone.packs
    names = [task.name for task in tasks]
    classified = [index for index, task in enumerate(tasks) if task.kind == "classification"]

    def rows(index: int, examples: Sequence[Example]) -> list[tuple[int, Sequences, float]]:
        task = tasks[index]
        ids = encode_task(backbone.tokenizer, task.kind, examples, training.max_length, task.max_new_tokens)
        return [(index, tokens, float(example.label)) for tokens, example in zip(ids, examples, strict=True)]

    def corpus(of: Sequence[tuple[int, Sequences, float]]) -> Corpus:
        made = Corpus(names, of, pad, backbone.device, packed=packed, classified=classified)
        # It keeps one sequence a row.
        made.cache = None if made.has_choices else cache
        return made

    train = [row for index, task in enumerate(tasks) for row in rows(index, task.train)]
    return corpus(train), SealedSplits([corpus(rows(index, task.evaluation)) for index, task in enumerate(tasks)])


def _check_length(training: contract.Training, backbone: Backbone) -> None:
    positions = getattr(backbone.model.config, "max_position_embeddings", None)
    # Positions that count from after the padding's index, which is 1 as a rule, need two more than the longest row.
    reserved = 2 if backbone.form.counts_from_padding else 0
    if positions is not None and training.max_length > positions - reserved:
        raise InputError(
            f"training.maxLength: {training.max_length} is more than the {positions - reserved} tokens that"
            f" {backbone.reference} can read",
            mend=f"Set it to {positions - reserved} or less.",
        )


def _check_generation(task: TaskData, backbone: Backbone, training: contract.Training) -> None:
    if backbone.language is None:
        what = "saved without its language head" if backbone.form.causal else "an encoder, which writes no text"
        raise InputError(
            f'tasks.{task.name}.kind: "generation" needs a decoder with a language head, but {backbone.reference}'
            f" ({backbone.family}) is {what}",
            mend="Use a causal language model, such as model.smolLM2(), or a task of another kind.",
        )
    if task.max_new_tokens >= training.max_length:
        raise InputError(
            f"tasks.{task.name}.maxNewTokens: {task.max_new_tokens} leaves no room for a prompt in the"
            f" {training.max_length} tokens of training.maxLength",
            mend="Raise training.maxLength, or lower maxNewTokens.",
        )
