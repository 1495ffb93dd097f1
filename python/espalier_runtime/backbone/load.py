"""Loads a frozen backbone: an embedded one, a folder, or a model of the Hub. Nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from espalier_runtime import contract
from espalier_runtime.backbone.attention import use_packed_attention
from espalier_runtime.backbone.embedded import embedded_folder
from espalier_runtime.backbone.families import Family
from espalier_runtime.backbone.inputs import Inputs
from espalier_runtime.backbone.quantization import Quantization, quantized_loading
from espalier_runtime.backbone.sites import Site, find_sites, form_of, layer_count
from espalier_runtime.backbone.start import chain, entering, starting_at
from espalier_runtime.errors import InputError

BackboneSpec = contract.EmbeddedBackbone | contract.FolderBackbone | contract.HubBackbone


@dataclass(frozen=True)
class Backbone:
    """A frozen transformer in evaluation mode, its tokeniser, and where adapters may attach.

    `form` says how the model is built. `tokenizer` is None where the model reads images; `hidden` is the width of the
    last hidden states; `parameters` counts every weight of the loaded model; `fingerprint` is the sha256 of its
    weights. `language` is the causal language model that `model` is the body of, its language head included, where a
    decoder was loaded to write.
    """

    model: nn.Module
    tokenizer: Any
    family: str
    form: Family
    reference: str
    sites: tuple[Site, ...]
    layers: int
    hidden: int
    parameters: int
    fingerprint: str
    language: Any = None

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def wait(self) -> None:
        """Until the device has done what it was given: a clock read before then tells nothing."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    @property
    def packs(self) -> bool:
        """Whether the rows of a batch can lie one after the other. Not on CUDA, where many short calls cost more."""
        return self.form.packs and self.device.type == "cpu"

    @property
    def quantized(self) -> bool:
        """Whether linears are held in fewer bits than they compute in."""
        config: Any = self.model.config
        return getattr(config, "quantization_config", None) is not None

    @property
    def layer_modules(self) -> tuple[str, ...]:
        """The paths of the layers, from the lowest up."""
        return tuple(f"{self.form.layers}.{layer}" for layer in range(self.layers))

    def states(self, inputs: Inputs) -> Tensor:
        """Hidden states of the last layer, (batch, seq, hidden) or (1, T, hidden), as the inputs are laid."""
        with starting_at(self.model, self.form, inputs.start, inputs.entering):
            states: Tensor = self.model(**inputs.arguments(self.form, self.model)).last_hidden_state
        return states

    def every_layer(self, inputs: Inputs) -> list[Tensor]:
        """The states that go into each layer, and those of the last, as the inputs are laid; no layer is left out."""
        assert inputs.entering is None, "states of the layers below the start are wanted"
        return chain(self.model, self.form, inputs.arguments(self.form, self.model))

    def entering(self, inputs: Inputs, layer: int) -> Tensor:
        """The hidden states that go into `layer`; those from it on do not run."""
        return entering(self.model, self.form, layer, inputs.arguments(self.form, self.model))


def reference_of(spec: BackboneSpec) -> str:
    """What `spec` calls its model: an embedded model's name, a folder, or the Hub's name."""
    match spec:
        case contract.EmbeddedBackbone():
            return spec.name
        case contract.FolderBackbone():
            return str(Path(spec.path))
        case contract.HubBackbone():
            return spec.id


def load_backbone(spec: BackboneSpec, device: torch.device | None = None, *, language: bool = False) -> Backbone:
    """The backbone that `spec` names, frozen, in float32 where it is not quantised.

    `language`: with its language head, where it has one.

    Raises InputError where the folder has no model, the Hub cannot be reached, the family is unknown, or nothing here
    can quantise.
    """
    match spec:
        case contract.EmbeddedBackbone():
            folder = embedded_folder(spec.name)
            return read_model(folder, reference_of(spec), device, quantization=spec.quantization, language=language)
        case contract.FolderBackbone():
            folder = Path(spec.path)
            _check_folder(folder)
            return read_model(
                folder,
                reference_of(spec),
                device,
                mapping=spec.mapping,
                quantization=spec.quantization,
                language=language,
                trust_remote_code=spec.trust_remote_code,
            )
        case contract.HubBackbone():
            return _from_hub(spec, device, language)


def read_model(
    source: Path | str,
    reference: str,
    device: torch.device | None = None,
    *,
    mapping: contract.Mapping | None = None,
    quantization: Quantization | None = None,
    language: bool = False,
    **options: object,
) -> Backbone:
    """Reads model and tokeniser from `source`, a folder or a Hub name, and freezes the model."""
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForTextEncoding, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    config = AutoConfig.from_pretrained(str(source), **options)
    # Of a model with an encoder and a decoder, the encoder is the backbone.
    kind = AutoModelForTextEncoding if config.is_encoder_decoder else AutoModel
    writes = language and _writes(config)
    kind = AutoModelForCausalLM if writes else kind
    # A quantised model is made on its device and cannot be moved.
    placed = {} if quantization is None else quantized_loading(quantization, device)
    model = kind.from_pretrained(str(source), dtype=torch.float32, use_safetensors=True, **placed, **options)
    reads_images = model.main_input_name == "pixel_values"
    tokenizer = None if reads_images else AutoTokenizer.from_pretrained(str(source), **options)
    move = None if placed else device
    if writes:
        return as_backbone(model.base_model, tokenizer, reference, move, mapping, language=model)
    return as_backbone(model, tokenizer, reference, move, mapping)


def _writes(config: Any) -> bool:
    """Whether what was saved is a causal language model, head and all."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return not set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()).isdisjoint(config.architectures or ())


def as_backbone(
    model: nn.Module,
    tokenizer: Any,
    reference: str,
    device: torch.device | None = None,
    mapping: contract.Mapping | None = None,
    *,
    language: Any = None,
) -> Backbone:
    """Freezes `model`, one of transformers' and the body of `language` where that is given, and finds its sites."""
    for whole in (model, language):
        if whole is not None:
            whole.requires_grad_(False).eval()
            if device is not None:
                whole.to(device)
    sites = find_sites(model, mapping)
    form = form_of(model, mapping)
    if form.packs:
        use_packed_attention(model)
    pretrained: Any = model
    config = pretrained.config
    config.use_cache = False  # of keys and values, which training has no use for
    if tokenizer is not None and tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token  # the mask hides it
    return Backbone(
        model=model,
        tokenizer=tokenizer,
        family=config.model_type,
        form=form,
        reference=reference,
        sites=sites,
        layers=layer_count(sites),
        # OPT may project its last states to the width of its embeddings.
        hidden=int(getattr(config, "word_embed_proj_dim", None) or config.hidden_size),
        parameters=pretrained.num_parameters(),  # which counts what 4 bits hold, not the bytes that hold it
        fingerprint=weights_fingerprint(model),
        language=language,
    )


def weights_fingerprint(model: nn.Module) -> str:
    """sha256 over the names, shapes and bytes of all weights, in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise InputError(
            f'backbone.path: "{folder}" is not a folder', mend="Give the path of a folder that holds a model."
        )
    config = folder / "config.json"
    if not config.is_file():
        raise InputError(
            f'backbone.path: "{folder}" has no config.json', mend="Save a model there with save_pretrained."
        )
    try:
        json.loads(config.read_text())
    except ValueError as error:
        raise InputError(
            f'backbone.path: "{config}" is not JSON: {error}',
            mend="Save the model again with save_pretrained.",
        ) from error
    if not any(folder.glob("*.safetensors")):
        others = ", ".join(sorted(path.name for path in folder.glob("*.bin"))) or "none"
        raise InputError(
            f'backbone.path: "{folder}" has no *.safetensors weights (other weights found: {others})',
            mend="Save the model with save_pretrained, which writes safetensors; pickled weights are never read.",
        )


def _from_hub(spec: contract.HubBackbone, device: torch.device | None, language: bool) -> Backbone:
    try:
        return read_model(
            spec.id,
            reference_of(spec),
            device,
            mapping=spec.mapping,
            quantization=spec.quantization,
            language=language,
            revision=spec.revision,
            trust_remote_code=spec.trust_remote_code,
        )
    except (OSError, ValueError) as error:
        from huggingface_hub.constants import HF_HUB_CACHE

        raise InputError(
            f'backbone.id: "{spec.id}" at revision "{spec.revision}" could not be loaded from the Hub'
            f" or its cache {HF_HUB_CACHE}: {str(error).splitlines()[0]}",
            mend="Check the name and the network, or download the model and give its folder: model.folder(path).",
        ) from error
