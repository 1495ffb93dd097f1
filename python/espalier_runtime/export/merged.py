"""A plain transformers model with a task's adapters folded into its weights.

Whatever adapts a linear h = W x + b and is itself affine in x leaves an affine map f, and so another linear:

    b' = f(0)        W' e_i = f(e_i) - f(0)        with LoRA:  W' = W + s B A

f is evaluated as it runs, in float64, so that nothing here knows the kinds. A norm is folded alike (export/norms.py).
What is not affine cannot be folded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from espalier_runtime.adapters.attach import attached
from espalier_runtime.errors import InputError
from espalier_runtime.export.head import what_it_reads, write_head
from espalier_runtime.export.native import LoadedAdapter
from espalier_runtime.export.norms import fold_norm, is_norm
from espalier_runtime.records.files import write_text

#: How far f may be from affine, relative to its largest output: rounding in float64 is far below it.
AFFINE_TOLERANCE = 1e-9


def write_merged(adapter: LoadedAdapter, task: str, folder: Path) -> None:
    """Writes the model with the adapters of `task` folded in, its tokeniser and the task's head into `folder`.

    The backbone in memory is itself again afterwards, bit for bit.
    Raises InputError, naming kinds and sites, where something the task uses cannot be folded.
    """
    backbone = adapter.backbone
    writes = adapter.task(task).kind == "generation"
    whole: Any = backbone.language if writes else backbone.model
    with folded(adapter, task):
        whole.save_pretrained(str(folder))
    backbone.tokenizer.save_pretrained(str(folder))
    write_head(folder, adapter, task, "merged")
    reads = what_it_reads(adapter)
    write_text(folder / "README.md", _readme_of_writer(task) if writes else _readme(task, reads))


@contextmanager
def folded(adapter: LoadedAdapter, task: str) -> Iterator[None]:
    """Within the context the backbone's own linears and norms do what `task` made of them."""
    with replaced(adapter.backbone.model, fold(adapter, task)):
        yield


@contextmanager
def replaced(model: nn.Module, weights: Mapping[str, tuple[Tensor, Tensor | None]]) -> Iterator[None]:
    """Within the context the modules at these paths have this weight and bias; None keeps a bias.

    A linear's weight is (outputs, inputs), however the module stores it.
    """
    from transformers.pytorch_utils import Conv1D

    before: dict[str, dict[str, Tensor]] = {}
    try:
        for path, (weight, bias) in weights.items():
            module = model.get_submodule(path)
            before[path] = {name: value.detach().clone() for name, value in module.named_parameters(recurse=False)}
            _set(module, weight.t() if isinstance(module, Conv1D) else weight, bias)
        yield
    finally:
        for path, values in before.items():
            for name, value in values.items():
                getattr(model.get_submodule(path), name).data = value


def fold(adapter: LoadedAdapter, task: str) -> dict[str, tuple[Tensor, Tensor]]:
    """(W', b') in float64 of each linear and norm that `task` adapts, by the module's path; W' (outputs, inputs).

    Raises InputError, naming kinds and sites, where what the task uses there is not affine, or the module neither.
    """
    gates = adapter.gates(task)
    members: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, candidate in enumerate(adapter.structure.candidates):
        if float(gates[0, index]) != 0:
            members[candidate.site.module][candidate.kind].append(index)
    refused: dict[str, list[str]] = defaultdict(list)
    folded: dict[str, tuple[Tensor, Tensor]] = {}
    for path, kinds in members.items():
        for kind, indices in kinds.items():
            alone = torch.zeros_like(gates)
            alone[0, indices] = gates[0, indices]
            if _affine(adapter, path, alone, adapter.index(task)) is None:
                refused[kind].append(adapter.structure.candidates[indices[0]].site.name)
        whole = None if refused else _affine(adapter, path, gates, adapter.index(task))
        if whole is not None:
            folded[path] = whole
    if refused:
        raise InputError(
            f'export: the adapter of "{task}" cannot be folded into the model\'s weights: '
            + "; ".join(f"{kind} at {', '.join(sites)}" for kind, sites in refused.items()),
            mend="Export it with --to native, which holds every kind, or --to onnx.",
        )
    return folded


@torch.no_grad()
def _affine(adapter: LoadedAdapter, path: str, gates: Tensor, task: int = 0) -> tuple[Tensor, Tensor] | None:
    """(W', b') of the module at `path` as `task` runs it under `gates`; None where it has no room for them."""
    from transformers.pytorch_utils import Conv1D

    model, pool = adapter.backbone.model, adapter.model.pool
    module = model.get_submodule(path)
    if not (isinstance(module, nn.Linear | Conv1D) or is_norm(module)):
        return None
    pool.use(gates, torch.tensor([task], device=gates.device))
    here = [group for group in pool.members() if group.site.module == path]
    # A kind that reads more than this module's input cannot run alone, even shut.
    groups = [group for group in here if group.kind.mergeable]
    others = [group for group in here if not group.kind.mergeable]
    if not groups or any(group.gates is None or bool((group.gates != 0).any()) for group in others):
        pool.use(None)
        return None
    dtypes = [(part, next(part.parameters()).dtype) for part in (module, *groups)]
    generator = torch.Generator().manual_seed(0)
    probe = torch.randn(1, 4, groups[0].site.inputs, dtype=torch.float64, generator=generator)
    probe = probe.to(adapter.backbone.device)
    try:
        for part, _ in dtypes:
            part.to(torch.float64)
        with attached(model, groups):
            wanted = module(probe)
            if isinstance(module, nn.Linear | Conv1D):
                return _linear(module, probe, wanted)
        return fold_norm(model, path, groups, probe, wanted)
    finally:
        pool.use(None)
        for part, dtype in dtypes:
            part.to(dtype)


def _linear(module: Any, probe: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor] | None:
    """(W', b') of an adapted linear, which gives `wanted` for `probe`; None where that is not affine."""
    bias = module(torch.zeros_like(probe[:, :1]))[0, 0]
    identity = torch.eye(probe.shape[-1], dtype=probe.dtype, device=probe.device)
    weight = (module(identity.unsqueeze(0))[0] - bias).t()
    error = float((probe @ weight.t() + bias - wanted).abs().max())
    if error > AFFINE_TOLERANCE * max(1.0, float(wanted.abs().max())):
        return None
    return None if module.bias is None and bool((bias != 0).any()) else (weight, bias)


def _set(module: nn.Module, weight: Tensor, bias: Tensor | None) -> None:
    own: Tensor = module.weight  # type: ignore[assignment]
    own.data = weight.to(own.dtype).contiguous()
    kept = getattr(module, "bias", None)
    if kept is not None and bias is not None:
        kept.data = bias.to(kept.dtype)


def _readme_of_writer(task: str) -> str:
    return f"""# A language model for the task {task}

A plain transformers model: what Espalier fitted is folded into its weights, and nothing else is needed to run it.

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model, tokenizer = AutoModelForCausalLM.from_pretrained("."), AutoTokenizer.from_pretrained(".")
```

With the prompts laid as in training: `from espalier_runtime.export.load import load; load(".").predict(["a prompt"])`.
"""


def _readme(task: str, reads: str) -> str:
    return f"""# A model for the task {task}

A plain transformers model: what Espalier fitted is folded into its weights, and nothing else is needed to run it.
`head.safetensors` holds the task's head: a linear layer on {reads} (`head.json`
names its labels).

```python
from transformers import AutoModel, AutoTokenizer

model, tokenizer = AutoModel.from_pretrained("."), AutoTokenizer.from_pretrained(".")
```

Model and head together: `from espalier_runtime.export.load import load; load(".").predict(["a text"])`.
"""
