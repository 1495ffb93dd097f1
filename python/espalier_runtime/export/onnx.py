"""One ONNX file that goes from token ids to a task's outputs: backbone, adapters of every kind, pooling and head.

inputs   input_ids, attention_mask and, where the tokeniser gives them, token_type_ids    int64 (batch, tokens)
outputs  outputs    logits (batch, classes), or a regression's values (batch, 1)
         pooled     pooled states (batch, hidden)
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from espalier_runtime.backbone.heads import Head, pool
from espalier_runtime.backbone.inputs import Inputs
from espalier_runtime.backbone.layout import Padded
from espalier_runtime.errors import InputError
from espalier_runtime.export.head import HeadCard, read_head, write_head
from espalier_runtime.export.native import LoadedAdapter
from espalier_runtime.export.texts import Texts, batch_of, paired
from espalier_runtime.records.files import write_text
from espalier_runtime.training.model import AdaptedModel

if TYPE_CHECKING:
    from espalier_runtime.tasks.corpus import Batch

OPSET = 18
#: A protobuf file ends at 2 GiB: larger models keep their weights in model.onnx.data beside it.
ONE_FILE_BYTES = 1.8 * 2**30


class _Classifier(nn.Module):
    def __init__(self, model: AdaptedModel, head: Head) -> None:
        super().__init__()
        self.model, self.adapters, self.head = model.backbone.model, model.pool, head
        self._backbone, self._pooling = model.backbone, model.pooling

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        inputs = Inputs(Padded(attention_mask), input_ids, token_type_ids)
        pooled = pool(self._backbone.states(inputs), inputs.layout, self._pooling)
        return self.head.values(pooled), pooled


def write_onnx(adapter: LoadedAdapter, task: str, folder: Path) -> None:
    """Writes model.onnx, the tokeniser and the head's card into `folder`.

    Raises InputError where a package is missing, or the model holds what ONNX cannot express.
    """
    if adapter.mixes:
        raise InputError(
            'export: --to onnx does not hold heads that mix layers (training.headLayers: "mixed")',
            mend="Export it with --to merged, a plain model with such a head, or with --to native.",
        )
    _needed("onnx", "onnxscript", "onnxruntime")
    card, backbone = adapter.card, adapter.backbone
    if adapter.task(task).kind == "generation":
        raise InputError(
            f'export: "{task}" is a generation, and --to onnx holds models that classify or score',
            mend="Export it with --to peft, --to merged or --to native.",
        )
    index = adapter.index(task)
    # What other tasks use is not in the file.
    alone, gates = adapter.model.alone(index, adapter.structure.gates().to(backbone.device))
    module = _Classifier(alone, adapter.model.head(index)).eval()
    # Two rows of unlike length: an axis of size 1 would be taken for a constant.
    sample: Texts = [("one two three", None), ("four", None)]
    inputs = _inputs(batch_of(backbone.tokenizer, sample, card.max_length, backbone.device))
    axes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with alone.pool.attached(backbone.model), _quiet():
        own = torch.tensor([index], device=backbone.device)
        alone.pool.use(None if gates is None else gates[index].unsqueeze(0), own)
        try:
            program: Any = torch.onnx.export(
                module,
                (),
                kwargs=inputs,
                dynamic_shapes=dict.fromkeys(inputs, axes),
                input_names=list(inputs),
                output_names=["outputs", "pooled"],
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
        except Exception as error:
            raise InputError(
                f"export: {backbone.reference} with the adapter of {task} cannot be expressed in ONNX:"
                f" {str(error).splitlines()[0]}",
                mend="Export it with --to merged or --to native.",
            ) from error
    size = sum(value.numel() * value.element_size() for value in module.state_dict().values())
    program.save(str(folder / "model.onnx"), external_data=size > ONE_FILE_BYTES)
    tokenizer = copy.deepcopy(backbone.tokenizer)
    if tokenizer.is_fast:
        # For those who read tokenizer.json by itself.
        tokenizer.backend_tokenizer.enable_truncation(card.max_length, strategy="longest_first")
    tokenizer.save_pretrained(str(folder))
    write_head(folder, adapter, task, "onnx")
    write_text(folder / "README.md", _readme(task, list(inputs), card.max_length))


@dataclass(frozen=True)
class OnnxModel:
    """The model in an export, run by onnxruntime on the CPU."""

    card: HeadCard
    tokenizer: Any
    session: Any

    def outputs(self, texts: Texts) -> Tensor:
        """Logits (rows, classes), or values (rows, 1)."""
        wanted = {entry.name for entry in self.session.get_inputs()}
        batch = batch_of(self.tokenizer, texts, self.card.max_length, torch.device("cpu"))
        inputs = {name: value.numpy() for name, value in _inputs(batch).items() if name in wanted}
        return torch.from_numpy(self.session.run(["outputs"], inputs)[0])

    def predict(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[str] | list[float]:
        """Class names of a classification, values of a regression."""
        assert self.card.task is not None
        return self.card.task.named(self.outputs(paired(texts, pairs)))


def load_onnx(folder: Path) -> OnnxModel:
    """The ONNX model in `folder`. Raises InputError where onnxruntime is not installed."""
    _needed("onnxruntime")
    import onnxruntime
    from transformers import AutoTokenizer

    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    return OnnxModel(read_head(folder), AutoTokenizer.from_pretrained(str(folder)), session)


def _inputs(batch: Batch) -> dict[str, Tensor]:
    assert isinstance(batch.inputs.layout, Padded)
    inputs = {"input_ids": batch.inputs.input_ids, "attention_mask": batch.inputs.layout.mask}
    types = batch.inputs.token_type_ids
    return inputs if types is None else {**inputs, "token_type_ids": types}


def _needed(*packages: str) -> None:
    from importlib.util import find_spec

    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise InputError(
            f"export: --to onnx needs packages that this Python environment lacks: {', '.join(missing)}",
            mend=f"Install them into the Python that `espalier doctor` names: pip install {' '.join(packages)}",
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's notes about itself."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _readme(task: str, inputs: list[str], max_length: int) -> str:
    return f"""# An ONNX model for the task {task}

`model.onnx` holds backbone, adapters, pooling and head. Inputs, int64 of (batch, tokens): {", ".join(inputs)}.
Outputs: `outputs`, the task's logits or values, and `pooled`, the pooled states. `tokenizer.json` is the
tokeniser, which cuts texts to {max_length} tokens as in training, and `head.json` names the labels in the order of
the logits.

In Python: `from espalier_runtime.export.load import load; load(".").predict(["a text"])`.
In TypeScript: onnxruntime-node and @huggingface/tokenizers read it.
"""
