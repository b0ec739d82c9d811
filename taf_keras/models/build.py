"""Backbone and segmentation head, composed into one functional model with named branches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from taf_keras.config import ModelConfig
from taf_keras.models import deeplabv3plus, fcn8s
from taf_keras.models.backbones import build_backbone
from taf_keras.models.layers import ResizeLike
from taf_keras.models.own import build_own_model

_MODELS = {"fcn8s": fcn8s, "deeplabv3plus": deeplabv3plus}


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Layers that are made inside have Keras' dtype policy `name`; afterwards the caller's holds again."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def build_model(config: ModelConfig, num_classes: int) -> keras.Model:
    """The single-frame model: RGB (batch, height, width, 3) in [0, 255] -> logits at the same size.

    The layers whose outputs are its branches are those of `config.BRANCHES`. The logits have a stride of 4
    or 8; the last layer upsamples them to the image.

    Raises: UserError for backbone weights that cannot be had, and a model of the user's own that cannot be
        used.
    """
    if config.is_own:
        return build_own_model(config, num_classes)
    backbone = build_backbone(config)
    (image,) = backbone.inputs
    logits = _MODELS[config.model].logits(backbone.output, num_classes, config)
    logits = ResizeLike(name="full_size_logits", dtype="float32")([logits, image])
    return keras.Model(image, logits, name=config.model)
