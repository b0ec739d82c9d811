"""Backbones of keras.applications: RGB images to a pyramid of feature maps."""

from __future__ import annotations

import re
from functools import partial

import keras
from keras import layers, ops

from taf_keras.config import KERAS_CV_PREFIX, ModelConfig
from taf_keras.models.batch_norm import BatchNormalization
from taf_keras.models.pyramid import LEVELS, download, load_file, pyramid

# The layer of each level. MobileNetV2 ends before the 1280 channels of its classifier.
_TAPS = {
    "resnet50": ("conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"),
    "mobilenetv2": ("block_2_add", "block_5_add", "block_12_add", "block_16_project_BN"),
}
# The stages, or blocks, that halve the resolution to strides 16 and 32.
_FIRST = {"resnet50": {16: 4, 32: 5}, "mobilenetv2": {16: 6, 32: 13}}


def build_backbone(config: ModelConfig) -> keras.Model:
    """A functional model: RGB float32 (batch, height, width, 3) in [0, 255] -> {"P2": …, …, "P5": …}.

    Preprocessing is inside. Batch norm is synchronised over replicas. At `config.output_stride` 16 or
    8 the last stages keep their resolution and dilate their 3×3 convolutions instead.

    Raises: UserError for weights that cannot be had or belong to another backbone.
    """
    if config.backbone.startswith(KERAS_CV_PREFIX):
        from taf_keras.models.keras_cv_backbones import build_keras_cv_backbone

        return build_keras_cv_backbone(config)
    original = _original(config)
    edited = keras.models.clone_model(original, clone_function=lambda layer: _edited(layer, config))
    edited.set_weights(original.get_weights())  # the edits change no shape and no order
    taps = dict(zip(LEVELS, _TAPS[config.backbone], strict=True))
    return pyramid(edited, taps, partial(_preprocess, config.backbone))


def _preprocess(backbone: str, image):
    """The input scaling with which the public ImageNet weights were trained."""
    if backbone == "mobilenetv2":
        return layers.Rescaling(1 / 127.5, offset=-1, name="preprocess")(image)  # to [-1, 1]
    # BGR minus the ImageNet mean, as Caffe had it.
    bgr = ops.flip(image, axis=-1)
    return layers.Rescaling(1.0, offset=[-103.939, -116.779, -123.68], name="preprocess")(bgr)


def _original(config: ModelConfig) -> keras.Model:
    """The backbone as keras.applications has it, with its weights."""
    make = partial(keras.applications.ResNet50, include_top=False)
    if config.backbone == "mobilenetv2":
        make = partial(keras.applications.MobileNetV2, include_top=False, alpha=config.backbone_width)
    any_size = {"input_shape": (None, None, 3)}
    original = make(weights=None, **any_size)
    width = f"width {config.backbone_width:g}"
    if config.backbone_weights == "random":
        return original
    if config.backbone_weights != "imagenet":
        return load_file(original, config.backbone_weights, f"{config.backbone} ({width}, include_top=False)")
    if config.backbone == "resnet50":
        return download(lambda: make(weights="imagenet", **any_size), f"{config.backbone} ({width})")
    # An explicit size: without one, Keras warns that it takes the weights of size 224.
    small = download(
        lambda: make(weights="imagenet", input_shape=(224, 224, 3)), f"{config.backbone} ({width})"
    )
    original = make(weights=None, **any_size)
    original.set_weights(small.get_weights())
    return original


def _edited(layer: layers.Layer, config: ModelConfig) -> layers.Layer:
    """The layer with our batch norm, and dilated where the output stride asks for it."""
    settings = layer.get_config()
    if isinstance(layer, layers.BatchNormalization):
        # The momentum of keras.applications (0.99, 0.999) is for ImageNet's many steps.
        settings |= {"synchronized": True, "momentum": config.batch_norm_momentum}
        return BatchNormalization.from_config(settings)
    edits = _resnet50_edits if config.backbone == "resnet50" else _mobilenetv2_edits
    skipped = partial(_skipped, _FIRST[config.backbone], config.output_stride)
    return type(layer).from_config(settings | edits(layer, settings, skipped))


def _skipped(first: dict[int, int], output_stride: int, stage: int) -> int:
    """Strides left out up to and including `stage`, as a factor 1, 2 or 4."""
    return 2 ** sum(stride > output_stride and stage >= begin for stride, begin in first.items())


def _resnet50_edits(layer: layers.Layer, settings: dict, skipped) -> dict:
    match = re.fullmatch(r"conv(\d)_block(\d+)_(\d)_conv", layer.name)
    stage, block, conv = map(int, match.groups()) if match else (0, 0, 0)
    if conv == 2:
        # Keras strides in the first 1×1, so already the first block's 3×3 sees the finer grid.
        return {"dilation_rate": (skipped(stage), skipped(stage))}
    if block == 1 and conv in (0, 1) and skipped(stage) > skipped(stage - 1):
        return {"strides": (1, 1)}  # the shortcut and the first 1×1
    return {}


def _mobilenetv2_edits(layer: layers.Layer, settings: dict, skipped) -> dict:
    if isinstance(layer, layers.ZeroPadding2D):
        # "same" below pads alike at even sizes, and also serves odd and dynamic ones.
        return {"padding": 0}
    changes = {"padding": "same"} if settings.get("padding") == "valid" else {}
    if match := re.fullmatch(r"block_(\d+)_depthwise", layer.name):
        block = int(match[1])
        before = skipped(block - 1)  # a stride that is left out dilates what comes after it
        if skipped(block) > before:
            changes["strides"] = (1, 1)
        changes["dilation_rate"] = (before, before)
    return changes
