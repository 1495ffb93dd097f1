from __future__ import annotations

import importlib.util

import pytest
import torch
from conftest import padded

from espalier_runtime import contract
from espalier_runtime.backbone import quantization as module
from espalier_runtime.backbone.load import load_backbone
from espalier_runtime.backbone.quantization import quantized_loading
from espalier_runtime.errors import InputError

CUDA = torch.device("cuda")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as is asked here, a machine with CUDA and bitsandbytes."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: object())


def test_without_cuda_the_error_says_so_before_anything_is_read() -> None:
    spec = contract.EmbeddedBackbone(source="embedded", name="minilm", quantization="4bit")
    with pytest.raises(InputError, match='backbone.quantization: "4bit" needs CUDA, and torch finds no CUDA device'):
        load_backbone(spec, torch.device("cpu"))


def test_a_fit_on_the_cpu_of_a_machine_with_cuda_is_refused(gpu: None) -> None:
    with pytest.raises(InputError, match='"8bit" needs CUDA, and training.device is the CPU'):
        quantized_loading("8bit", torch.device("cpu"))


def test_without_bitsandbytes_the_error_says_how_to_install_it(gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs the package bitsandbytes") as caught:
        quantized_loading("4bit", CUDA)
    assert "-m pip install bitsandbytes" in str(caught.value.mend)


def test_a_model_is_read_onto_its_device_in_4_or_8_bits(gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.utils import quantization_config

    monkeypatch.setattr(quantization_config.importlib.metadata, "version", lambda name: "0.50.0")
    four, eight = (quantized_loading(bits, CUDA) for bits in ("4bit", "8bit"))
    assert four["device_map"] == eight["device_map"] == {"": CUDA}
    config = four["quantization_config"]
    assert (config.load_in_4bit, config.load_in_8bit, config.bnb_4bit_quant_type) == (True, False, "nf4")
    assert config.bnb_4bit_use_double_quant
    assert config.bnb_4bit_compute_dtype == torch.bfloat16
    assert eight["quantization_config"].load_in_8bit


@pytest.mark.skipif(
    not torch.cuda.is_available() or importlib.util.find_spec("bitsandbytes") is None,
    reason="needs CUDA and bitsandbytes",
)
@pytest.mark.parametrize("bits", ["4bit", "8bit"])
def test_minilm_in_few_bits_is_counted_whole_and_gives_nearly_the_same_states(bits: module.Quantization) -> None:
    spec = contract.EmbeddedBackbone(source="embedded", name="minilm")
    plain = load_backbone(spec, CUDA)
    quantized = load_backbone(spec.model_copy(update={"quantization": bits}), CUDA)
    assert quantized.quantized
    assert (quantized.parameters, quantized.sites) == (plain.parameters, plain.sites)
    ids = torch.randint(1000, 2000, (2, 8), device=CUDA)
    with torch.no_grad():
        found = [backbone.states(padded(ids, torch.ones_like(ids))).flatten() for backbone in (plain, quantized)]
    assert float(torch.nn.functional.cosine_similarity(*found, 0)) > 0.9
