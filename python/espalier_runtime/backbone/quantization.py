"""Backbones whose frozen linears are held in 4 or 8 bits, by bitsandbytes on CUDA.

4bit is NF4 with double quantisation, as in QLoRA (arXiv 2305.14314), whose products run in bfloat16; 8bit is LLM.int8()
(arXiv 2208.07339). What is no linear stays float32, and a linear takes and gives what its input is.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import Any, Literal

import torch

from espalier_runtime.errors import InputError

Quantization = Literal["4bit", "8bit"]


def quantized_loading(quantization: Quantization, device: torch.device | None) -> dict[str, Any]:
    """What `from_pretrained` is given, so that the model is quantised while it is read.

    Raises InputError without CUDA, and without bitsandbytes.
    """
    _check(quantization, device)
    from transformers import BitsAndBytesConfig

    if quantization == "8bit":
        config = BitsAndBytesConfig(load_in_8bit=True)
    else:
        config = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    return {"quantization_config": config, "device_map": {"": device or torch.device("cuda")}}


def _check(quantization: Quantization, device: torch.device | None) -> None:
    given = f'backbone.quantization: "{quantization}"'
    if not torch.cuda.is_available() or (device is not None and device.type != "cuda"):
        why = "training.device is the CPU" if torch.cuda.is_available() else "torch finds no CUDA device"
        raise InputError(
            f"{given} needs CUDA, and {why}", mend="Leave out the quantisation, or run where there is a GPU."
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise InputError(
            f"{given} needs the package bitsandbytes, which this environment lacks",
            mend=f"Install it: {sys.executable} -m pip install bitsandbytes",
        )
