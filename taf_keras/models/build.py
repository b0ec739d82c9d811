"""Backbone and segmentation head, composed into one functional model with named parts."""

from __future__ import annotations

import keras

from taf_keras.config import ModelConfig
from taf_keras.models import deeplabv3plus, fcn8s
from taf_keras.models.backbones import build_backbone
from taf_keras.models.layers import ResizeLike

_MODELS = {"fcn8s": fcn8s, "deeplabv3plus": deeplabv3plus}


def build_model(config: ModelConfig, num_classes: int) -> keras.Model:
    """The single-frame model: RGB (batch, height, width, 3) in [0, 255] -> logits at the same size.

    Its parts are layers of the returned model, each a functional model itself:
        encoder: image -> {branch: Φ_i} with the names of `config.branches`, plus what is never swapped.
        projection: the same dict, each branch mapped by a 1×1 convolution of its own. Ω begins here,
            but an affine map per branch commutes with the swap, so the swap may be done behind it.
        head: those terms -> float32 logits (batch, h, w, classes) at stride 4 or 8.
    The last layer upsamples the logits to the image.

    Raises: UserError for backbone weights that cannot be had.
    """
    parts = _MODELS[config.model]
    backbone = build_backbone(config)
    features = parts.features(backbone.output, config)
    encoder = keras.Model(backbone.input, features, name="encoder")

    inputs = _inputs_like(features)
    projection = keras.Model(inputs, parts.projection(inputs, num_classes, config), name="projection")
    inputs = _inputs_like(projection.output)
    head = keras.Model(inputs, parts.head(inputs, num_classes, config), name="head")

    image = keras.Input((None, None, 3), name="image")
    logits = head(projection(encoder(image)))
    logits = ResizeLike(name="full_size_logits", dtype="float32")([logits, image])
    return keras.Model(image, logits, name=config.model)


def _inputs_like(tensors: dict) -> dict:
    return {name: keras.Input(x.shape[1:], dtype=x.dtype, name=name) for name, x in tensors.items()}
