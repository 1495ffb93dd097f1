"""What people run today: transformers and PEFT, by the Trainer and by a plain loop.

All learn with AdamW at one rate from `AutoModelForSequenceClassification` on the same backbone, LoRA of rank 8 on every
linear, batches padded to their longest row. "As people run it" is training mode: the frozen backbone's dropout is on.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch.utils.data import Dataset, SequentialSampler

from bench.work import Learner, Work
from espalier_runtime.tasks.corpus import Batch

RANK = 8
LEARNING_RATE = 1e-3
#: The linears of the layers, the pooler's left out, by the model's type.
LINEARS = {
    "bert": r".*encoder\.layer\.({layers})\..*(query|key|value|dense)",
    "llama": r".*layers\.({layers})\..*_proj",
}


def plain_loop(work: Work, folder: Path, *, layers: range, dropout: bool, buckets: bool = False) -> Learner:
    """A loop of forward, backward, step over PEFT's LoRA on `layers`."""
    model = lora_model(work, folder, layers)
    return _loop(work, model, buckets=buckets, dropout=dropout)


def ada_lora(work: Work, folder: Path, *, layers: range) -> Learner:
    """The same with PEFT's AdaLoRA, whose budget falls from rank 12 to 8 within the steps that are timed."""
    from peft import AdaLoraConfig

    steps = 1000  # of a schedule that no case comes to the end of
    config = AdaLoraConfig(init_r=12, target_r=RANK, tinit=0, tfinal=100, deltaT=10, total_step=steps)
    model = _with(config, work, folder, layers)
    taken = 0

    def after_step() -> None:
        nonlocal taken
        taken += 1
        model.base_model.update_and_allocate(taken % steps)

    return _loop(work, model, dropout=True, after_step=after_step)


def full_fine_tuning(work: Work, folder: Path) -> Learner:
    """Every weight of the backbone and the head."""
    return _loop(work, _classifier(work, folder), dropout=True)


def trainer(work: Work, folder: Path, *, layers: range) -> Learner:
    """transformers' Trainer with its defaults over PEFT's LoRA; its own set-up is not counted."""
    from transformers import PrinterCallback, Trainer, TrainingArguments
    from transformers.utils import logging

    logging.set_verbosity_error()
    model = lora_model(work, folder, layers)

    class Rows(Dataset[dict[str, Any]]):
        def __len__(self) -> int:
            return len(work.batches)

        def __getitem__(self, index: int) -> dict[str, Any]:
            return arguments_of(work.batch(work.batches[index]))

    class InOrder(Trainer):  # type: ignore[misc]
        """The rows come in the batches of every other case, made by the same code."""

        def _get_train_sampler(self, *_: object) -> SequentialSampler:
            return SequentialSampler(self.train_dataset)

    def run() -> float:
        with TemporaryDirectory() as output, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            arguments = TrainingArguments(
                output_dir=output,
                per_device_train_batch_size=1,
                num_train_epochs=1,
                learning_rate=LEARNING_RATE,
                report_to=[],
                save_strategy="no",
                logging_strategy="no",
                disable_tqdm=True,
                use_cpu=not torch.cuda.is_available(),
                dataloader_pin_memory=False,
            )
            made = InOrder(model=model, args=arguments, train_dataset=Rows(), data_collator=lambda rows: rows[0])
            made.remove_callback(PrinterCallback)  # it writes to stdout
            return float(made.train().metrics["train_runtime"])

    return Learner(run, lambda: _accuracy(work, model))


def lora_model(work: Work, folder: Path, layers: range) -> Any:
    """The classifier with PEFT's LoRA on `layers`."""
    from peft import LoraConfig

    return _with(LoraConfig(r=RANK, lora_alpha=2 * RANK), work, folder, layers)


def _with(config: Any, work: Work, folder: Path, layers: range) -> Any:
    from peft import TaskType, get_peft_model

    model = _classifier(work, folder)
    config.task_type = TaskType.SEQ_CLS
    config.target_modules = LINEARS[model.config.model_type].format(layers="|".join(str(layer) for layer in layers))
    return get_peft_model(model, config)


def _classifier(work: Work, folder: Path) -> Any:
    from transformers import AutoModelForSequenceClassification
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(str(folder), num_labels=work.classes)
    model.config.pad_token_id = work.pad_id
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


def _loop(
    work: Work,
    model: Any,
    *,
    dropout: bool,
    buckets: bool = False,
    after_step: Callable[[], None] | None = None,
) -> Learner:
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=LEARNING_RATE)
    model.train(dropout)

    def run() -> float:
        started = time.perf_counter()
        for rows in work.bucketed if buckets else work.batches:
            model(**arguments_of(work.batch(rows))).loss.backward()
            optimiser.step()
            if after_step is not None:
                after_step()
            optimiser.zero_grad()
        return time.perf_counter() - started

    return Learner(run, lambda: _accuracy(work, model))


@torch.no_grad()
def _accuracy(work: Work, model: Any) -> float:
    training = model.training
    model.eval()
    right = 0
    for rows in work.held_out_batches:
        given = arguments_of(work.held_out.padded().batch(rows))
        labels = given.pop("labels")
        right += int((model(**given).logits.argmax(-1) == labels).sum())
    model.train(training)
    return right / len(work.held_out)


def arguments_of(batch: Batch) -> dict[str, Any]:
    """A padded batch as transformers' classifiers take it."""
    given = {
        "input_ids": batch.inputs.input_ids,
        "attention_mask": batch.inputs.layout.mask,  # type: ignore[union-attr]
        "labels": batch.labels.long(),
    }
    types = batch.inputs.token_type_ids
    return given if types is None else {**given, "token_type_ids": types}
