"""What a head that mixes layers reads: the pooled states of every layer."""

from __future__ import annotations

import torch
from torch import Tensor

from espalier_runtime.backbone.heads import Pooling, pool
from espalier_runtime.backbone.inputs import Inputs
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.errors import InputError


def pooled_layers(backbone: Backbone, inputs: Inputs, pooling: Pooling) -> Tensor:
    """(batch, layers + 1, hidden): the embeddings that enter the first layer, then what each layer gives.

    The last are the model's last hidden states, with a final norm where the model has one. Raises InputError where the
    model's outputs have another width than its layers.
    """
    states = backbone.every_layer(inputs)
    widths = {entry.shape[-1] for entry in states}
    if len(widths) > 1:
        raise InputError(
            f'training.headLayers: "mixed" needs layers of one width, but those of {backbone.reference} have'
            f" {' and '.join(str(width) for width in sorted(widths))}",
            mend='Use "last".',
        )
    return torch.stack([pool(entry, inputs.layout, pooling) for entry in states], 1)
