"""Merges the LoRA adapters of several tasks, of one run or of several, into one PEFT adapter with a head a task."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.errors import EspalierError, InputError
from espalier_runtime.export import fresh
from espalier_runtime.export.base_model import BaseModel, base_model
from espalier_runtime.export.head import card_of, head_folder, write_head
from espalier_runtime.export.kinds import held_by_peft, kinds_of_task
from espalier_runtime.export.merged import replaced
from espalier_runtime.export.peft_lora import SiteLora, write_loras
from espalier_runtime.export.plain import PlainModel
from espalier_runtime.export.texts import Texts
from espalier_runtime.merge.arithmetic import arithmetic
from espalier_runtime.merge.directional import directional
from espalier_runtime.merge.ties import ties
from espalier_runtime.merge.update import Update, compressed
from espalier_runtime.records.files import write_json, write_text
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.tasks.load import load_task
from espalier_runtime.tasks.task import TaskData
from espalier_runtime.tasks.tokenise import encode_task
from espalier_runtime.training.evaluate import Predictions, predict
from espalier_runtime.training.model import AdaptedModel
from espalier_runtime.trials.exports import TOLERANCE, examples_of, made_beside
from espalier_runtime.trials.merge_sources import Given, Source, sources_of

Method = Literal["mda", "arithmetic", "ties"]


@dataclass(frozen=True)
class MergeSpec:
    """`weight` None: 1 for TIES, which averages, and 1 / tasks for the others; `rank` None: what the tasks have."""

    method: Method
    weight: float | None = None
    density: float = 0.2
    rank: int | None = None


def merge_runs(
    runs: Sequence[Given],
    spec: MergeSpec,
    *,
    tasks: Sequence[str] = (),
    destination: Path | None = None,
    backbone: Backbone | None = None,
    check: Callable[[], None] = lambda: None,
) -> contract.Merge:
    """Writes the merge of every task of the runs, or of those named, reloads it in a fresh process, and scores it.

    It comes to lie in `destination`, or among the first run's exports, as `merge-METHOD`. `backbone` is the runs' own
    where it is loaded already.

    Raises InputError where the runs' backbones differ, a task is unknown or has no LoRA, or one adapter alone is there;
    EspalierError where the reloaded merge differs.
    """
    sources = sources_of(runs, tasks, backbone)
    check()
    weight = spec.weight if spec.weight is not None else 1.0 if spec.method == "ties" else 1.0 / len(sources)
    spec = dataclasses.replace(spec, weight=weight)
    folder = (destination or runs[0].directory.exports) / f"merge-{spec.method}"
    temporary = made_beside(folder)
    try:
        merged, kept = _merge(sources, spec)
        check()
        _write(sources, merged, spec, temporary)
        with _applied(sources[0].adapter.backbone, merged):
            written = [_written(source, temporary) for source in sources]
            scores = [_scored(source, check) for source in sources]
        check()
        difference = max(fresh.differences(written, sources[0].adapter.backbone.device), key=_badness)
        if not math.isfinite(difference):
            raise InputError(
                f"merge: weight: {weight:g} makes a model whose outputs are not finite",
                mend="Lower --weight: 1 adds the tasks' updates as they are.",
            )
        if difference >= TOLERANCE:
            raise EspalierError(f"merge: the reloaded adapter differs by {difference:.2g}, more than {TOLERANCE:g}")
        record = contract.Merge(
            version=1,
            method=spec.method,
            weight=weight,
            density=spec.density if spec.method == "ties" else None,
            rank=spec.rank,
            path=str(folder),
            parameters=sum(site.down.numel() + site.up.numel() for site in merged),
            kept=kept,
            max_difference=difference,
            tasks=scores,
        )
        write_json(temporary / "merge.json", record.model_dump(by_alias=True))
        shutil.rmtree(folder, ignore_errors=True)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return record


def _merge(sources: Sequence[Source], spec: MergeSpec) -> tuple[list[SiteLora], float]:
    """The merged LoRA of each linear that any source adapts, and the share of |tau|^2 that its rank leaves."""
    by_linear: dict[str, list[Update]] = {}
    for source in sources:
        for site in source.loras:
            by_linear.setdefault(site.module, []).append(Update(site.scale * site.up.double(), site.down.double()))
    merged, norms, left = [], 0.0, 0.0
    for module, updates in sorted(by_linear.items()):
        whole = _combined(updates, spec)
        small, share = compressed(whole, spec.rank or sum(update.rank for update in updates))
        if small.rank == 0:
            continue
        norm = float(small.dense().square().sum())
        norms, left = norms + norm / share, left + norm
        merged.append(SiteLora(module, small.down.float().contiguous(), small.up.float().contiguous(), 1.0))
    if not merged:
        raise EspalierError(f"merge: {spec.method} leaves nothing of these adapters: at every linear they cancel out")
    return merged, left / norms


def _combined(updates: Sequence[Update], spec: MergeSpec) -> Update:
    assert spec.weight is not None
    match spec.method:
        case "mda":
            return directional(updates, spec.weight)
        case "arithmetic":
            return arithmetic(updates, spec.weight)
        case "ties":
            return ties(updates, spec.weight, spec.density)


def _applied(backbone: Backbone, merged: Sequence[SiteLora]) -> AbstractContextManager[None]:
    """Within the context the backbone's own linears do what the merge made of them."""
    from transformers.pytorch_utils import Conv1D

    linears: dict[str, tuple[Tensor, None]] = {}
    for site in merged:
        module = backbone.model.get_submodule(site.module)
        own: Tensor = module.weight.detach()  # type: ignore[operator]
        weight = own.t() if isinstance(module, Conv1D) else own
        linears[site.module] = (weight + (site.scale * site.up @ site.down).to(weight), None)
    return replaced(backbone.model, linears)


def _plain(source: Source) -> PlainModel:
    """The backbone as it now is, with the head of the source's task."""
    adapter = source.adapter
    return PlainModel(
        card_of(adapter, source.task, "peft"), adapter.backbone, adapter.model.head(adapter.index(source.task))
    )


def _written(source: Source, folder: Path) -> fresh.Written:
    texts: Texts = examples_of(source.given.plan, source.given.directory)[source.task]
    unit = source.adapter.model.head(source.adapter.index(source.task)).unit
    return fresh.Written(str(folder), source.name, texts, _plain(source).outputs(texts), unit)


def _scored(source: Source, check: Callable[[], None]) -> contract.MergedTask:
    """The row of a task: the score its own adapter has in its run, and that of the backbone as it now is."""
    check()
    given, card = source.given, source.adapter.task(source.task)
    result = given.directory.trial(source.trial).result
    own = contract.TrialResult.model_validate_json(result.read_text()).tasks if result.exists() else {}
    held = held_by_peft(source.adapter, source.task)
    row: dict[str, Any] = {
        "name": source.name,
        "run": str(given.directory.root),
        "trial": source.trial,
        "task": source.task,
        "metric": card.metric,
        "own": own[source.task].score if source.task in own else None,
        "left_out": sorted(kind for kind in kinds_of_task(source.adapter, source.task) if held.get(kind) != "lora"),
    }
    try:
        data = load_task(given.plan.tasks[source.adapter.index(source.task)])
        if data.labels != card.labels:
            raise InputError(f'task "{card.name}": its classes are no longer those that the adapter was trained on')
    except InputError as error:
        return contract.MergedTask(**row, split=None, merged=None, unread=str(error))
    found = _evaluated(source, data)
    return contract.MergedTask(**row, split=data.evaluation_split, merged=found.score, unread=None)


def _evaluated(source: Source, data: TaskData) -> Predictions:
    """What the backbone as it now is predicts for the evaluation split."""
    adapter, backbone = source.adapter, source.adapter.backbone
    ids = encode_task(backbone.tokenizer, data.kind, data.evaluation, adapter.card.max_length, data.max_new_tokens)
    rows = [(0, tokens, float(example.label)) for tokens, example in zip(ids, data.evaluation, strict=True)]
    corpus = Corpus([source.task], rows, backbone.tokenizer.pad_token_id or 0, backbone.device)
    head = [(source.task, adapter.model.head(adapter.index(source.task)))]
    model = AdaptedModel(backbone, AdapterPool((), {}, 0), head, adapter.card.pooling)
    return predict(model, corpus, None, adapter.task(source.task).metric, source.given.plan.training.max_tokens)


def _write(sources: Sequence[Source], merged: list[SiteLora], spec: MergeSpec, folder: Path) -> None:
    first = sources[0].adapter
    base = base_model(first.card.backbone)
    write_loras(base.name, merged, folder)
    write_head(folder, first, None, "peft")
    for source in sources:
        head = head_folder(folder, source.name)
        head.mkdir(parents=True)
        write_head(head, source.adapter, source.task, "peft")
    write_text(folder / "README.md", _readme(base, [source.name for source in sources], spec))


def _badness(difference: float) -> float:
    return difference if math.isfinite(difference) else math.inf


def _readme(base: BaseModel, names: Sequence[str], spec: MergeSpec) -> str:
    return f"""# One LoRA adapter of the tasks {", ".join(names)}

A plain PEFT adapter that Espalier merged by {spec.method}, weight {spec.weight:g}. The base model is "{base.name}".
`merge.json` says what went in and how each task scores with it.

```python
from peft import PeftModel
from transformers import AutoModel
{base.before}
model = PeftModel.from_pretrained(AutoModel.from_pretrained({base.argument}), ".")
```
{base.note}
`heads/TASK` holds each task's head. Adapter and head together:

```python
from espalier_runtime.export.load import load

load(".", "{names[0]}").predict(["a text"])
```
"""
