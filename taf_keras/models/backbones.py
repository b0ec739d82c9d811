"""Backbones: RGB images to a pyramid of feature maps, with ImageNet weights where they are asked for."""

from __future__ import annotations

import re
import warnings
import zipfile

import keras
from keras import layers, ops

from taf_keras.config import KERAS_CV_PREFIX, ModelConfig, check_weights_file
from taf_keras.errors import UserError, first_line
from taf_keras.models.batch_norm import BatchNormalization

# Pyramid level -> layer. Level Pn has a stride of 2^n, but for the stages that are dilated instead.
_RESNET50_TAPS = {
    "P2": "conv2_block3_out",
    "P3": "conv3_block4_out",
    "P4": "conv4_block6_out",
    "P5": "conv5_block3_out",
}
# MobileNetV2's linear bottlenecks; P5 is the last one before the 1280 channels of its classifier.
_MOBILENETV2_TAPS = {
    "P2": "block_2_add",
    "P3": "block_5_add",
    "P4": "block_12_add",
    "P5": "block_16_project_BN",
}
# First layer of the stage that halves the resolution to strides 16 and 32: (stage or block) numbers.
_RESNET50_STAGES = {16: 4, 32: 5}
_MOBILENETV2_BLOCKS = {16: 6, 32: 13}


def build_backbone(config: ModelConfig) -> keras.Model:
    """A functional model: RGB float32 (batch, height, width, 3) in [0, 255] -> {"P2": …, …, "P5": …}.

    Preprocessing is inside. Batch norm is synchronised over replicas. At `config.output_stride` 16 or
    8 the last stages keep their resolution and dilate their 3×3 convolutions instead.

    Raises: UserError for weights that cannot be had or belong to another backbone.
    """
    if config.backbone.startswith(KERAS_CV_PREFIX):
        from taf_keras.models.keras_cv_backbones import build_keras_cv_backbone

        return build_keras_cv_backbone(config)
    if config.backbone == "resnet50":
        original, taps, edit = _resnet50(config)
    else:
        original, taps, edit = _mobilenetv2(config)
    original = _with_weights(original, config)

    edited = keras.models.clone_model(
        original, clone_function=lambda layer: _edited(layer, edit, config.batch_norm_momentum)
    )
    edited.set_weights(original.get_weights())  # the edits change no shape and no order
    levels = keras.Model(edited.input, {level: edited.get_layer(name).output for level, name in taps.items()})

    image = keras.Input((None, None, 3), name="image")
    return keras.Model(image, levels(_preprocess(image, config.backbone)), name="backbone")


def _preprocess(image, backbone: str):
    """The input scaling with which the public ImageNet weights were trained."""
    if backbone == "mobilenetv2":
        return layers.Rescaling(1 / 127.5, offset=-1, name="preprocess")(image)  # to [-1, 1]
    # BGR minus the ImageNet mean, as Caffe had it.
    bgr = ops.flip(image, axis=-1)
    return layers.Rescaling(1.0, offset=[-103.939, -116.779, -123.68], name="preprocess")(bgr)


def _edited(layer, edit, momentum: float):
    if isinstance(layer, layers.BatchNormalization):
        # The momentum of keras.applications (0.99, 0.999) is for ImageNet's many steps.
        config = layer.get_config() | {"synchronized": True, "momentum": momentum}
        return BatchNormalization.from_config(config)
    config = layer.get_config()
    config |= edit(layer, config)
    return type(layer).from_config(config)


def _resnet50(config: ModelConfig):
    original = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(None, None, 3))

    def edit(layer, settings):
        match = re.fullmatch(r"conv(\d)_block(\d+)_(\d)_conv", layer.name)
        if not match:
            return {}
        stage, block, conv = map(int, match.groups())
        skipped, before = _dilated(stage, _RESNET50_STAGES, config.output_stride)
        changes = {}
        if skipped > before and block == 1 and conv in (0, 1):  # the shortcut and the first 1×1 stride
            changes["strides"] = (1, 1)
        if conv == 2:
            # Keras strides in the first 1×1, so already the first block's 3×3 sees the finer grid.
            changes["dilation_rate"] = (skipped, skipped)
        return changes

    return original, _RESNET50_TAPS, edit


def _mobilenetv2(config: ModelConfig):
    original = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(None, None, 3), alpha=config.backbone_width
    )

    def edit(layer, settings):
        if isinstance(layer, layers.ZeroPadding2D):
            # "same" below pads alike at even sizes, and also serves odd and dynamic ones.
            return {"padding": 0}
        changes = {"padding": "same"} if settings.get("padding") == "valid" else {}
        match = re.fullmatch(r"block_(\d+)_depthwise", layer.name)
        if match:
            block = int(match.group(1))
            skipped, before = _dilated(block, _MOBILENETV2_BLOCKS, config.output_stride)
            first = block in _MOBILENETV2_BLOCKS.values()
            if skipped > before and first:
                changes["strides"] = (1, 1)
            rate = before if first else skipped
            changes["dilation_rate"] = (rate, rate)
        return changes

    return original, _MOBILENETV2_TAPS, edit


def _dilated(stage: int, first_stages: dict[int, int], output_stride: int) -> tuple[int, int]:
    """Strides left out up to and including `stage`, and before it, as factors 1, 2 or 4."""
    skipped = before = 1
    for stride, first in first_stages.items():
        if stride > output_stride and stage >= first:
            skipped *= 2
            before *= 2 if stage > first else 1
    return skipped, before


def _with_weights(model: keras.Model, config: ModelConfig) -> keras.Model:
    weights = config.backbone_weights
    if weights == "random":
        return model
    if weights == "imagenet":
        return _imagenet(config)
    check_weights_file(weights)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one for each layer, before the error that says it all
            model.load_weights(weights)
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        reason = first_line(error)
        raise UserError(
            f"--backbone_weights={weights}: not the weights of {config.backbone} "
            f"(width {config.backbone_width:g}, include_top=False): {reason}"
        ) from None
    return model


def _imagenet(config: ModelConfig) -> keras.Model:
    try:
        if config.backbone == "resnet50":
            return keras.applications.ResNet50(
                include_top=False, weights="imagenet", input_shape=(None, None, 3)
            )
        # An explicit size: without one, Keras warns that it takes the weights of size 224.
        small = keras.applications.MobileNetV2(
            include_top=False, weights="imagenet", input_shape=(224, 224, 3), alpha=config.backbone_width
        )
    except Exception as error:  # download errors of many types, and widths that were never trained
        reason = first_line(error)
        raise UserError(
            f"--backbone_weights=imagenet: the weights of {config.backbone} (width "
            f"{config.backbone_width:g}) cannot be downloaded: {reason}. Allowed without a network are "
            "random and the path of a weights file"
        ) from None
    model = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(None, None, 3), alpha=config.backbone_width
    )
    model.set_weights(small.get_weights())
    return model
