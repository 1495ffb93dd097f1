"""Makes a folder that transformers loads at once from a GGUF file, whose reading takes half a minute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def convert(source: Path, folder: Path) -> None:
    """Writes the dequantised float32 weights of `source` as safetensors, with a clean config and the tokeniser.

    What the quantisation lost stays lost: the weights are those that a reader of the GGUF file computes with.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    file: dict[str, Any] = {"gguf_file": source.name}
    AutoTokenizer.from_pretrained(str(source.parent), **file).save_pretrained(str(folder))
    read = AutoModelForCausalLM.from_pretrained(str(source.parent), dtype=torch.float32, **file)
    # The model that was read counts as quantised and refuses to be saved; one of the same weights does not.
    config = type(read.config).from_dict({**read.config.to_dict(), "quantization_config": None})
    del config.quantization_config
    with torch.device("meta"):
        clean = AutoModelForCausalLM.from_config(config)
    clean.load_state_dict(read.state_dict(), assign=True)
    clean.tie_weights()
    clean.save_pretrained(str(folder))
