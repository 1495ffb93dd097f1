"""What a device is called in records and in the names of what was measured on it."""

from __future__ import annotations

import platform
from pathlib import Path

import torch


def device_name(device: torch.device) -> str:
    """The card's name on CUDA; the processor's model and architecture on the CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_processor()} {platform.machine()}".strip()


def _processor() -> str:
    """Linux says it in /proc/cpuinfo alone."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
