"""Backbones of keras_cv, under the contract of `taf_keras.models.backbones.build_backbone`.

keras_cv downloads even the architectures of its named presets, so they are spelled out here; the
tests compare their parameter counts with those that keras_cv publishes.
"""

from __future__ import annotations

import warnings

import keras
from keras import layers

from taf_keras.config import KERAS_CV_PREFIX, ModelConfig, check_weights_file
from taf_keras.errors import UserError, first_line
from taf_keras.models.batch_norm import BatchNormalization

LEVELS = ("P2", "P3", "P4", "P5")
_BLOCKS = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}
_REPEATS = {121: [6, 12, 24, 16], 169: [6, 12, 32, 32], 201: [6, 12, 48, 32]}


def _resnet(depth: int) -> dict:
    """He et al. 2016, Table 1."""
    return {
        "stackwise_filters": [64, 128, 256, 512],
        "stackwise_blocks": _BLOCKS[depth],
        "stackwise_strides": [1, 2, 2, 2],
        "block_type": "basic_block" if depth < 50 else "block",
    }


def _efficientnet_v2(repeats, filters, width: float = 1.0, depth: float = 1.0) -> dict:
    """Tan and Le 2021, Table 4. `filters` are the stem's, then those of each of the six stages."""
    return {
        "width_coefficient": width,
        "depth_coefficient": depth,
        "stackwise_kernel_sizes": [3] * 6,
        "stackwise_num_repeats": repeats,
        "stackwise_input_filters": filters[:-1],
        "stackwise_output_filters": filters[1:],
        "stackwise_expansion_ratios": [1, 4, 4, 4, 6, 6],
        "stackwise_squeeze_and_excite_ratios": [0, 0, 0, 0.25, 0.25, 0.25],
        "stackwise_strides": [1, 2, 2, 2, 1, 2],
        "stackwise_conv_types": ["fused"] * 3 + ["unfused"] * 3,
    }


def _mobilenet_v3(stacks) -> dict:
    """Howard et al. 2019, Tables 1 and 2: (expansion, filters, kernel, stride, squeeze, activation)."""
    names = ("expansion", "filters", "kernel_size", "stride", "se_ratio", "activation")
    columns = [list(column) for column in zip(*stacks, strict=True)]
    return {f"stackwise_{name}": column for name, column in zip(names, columns, strict=True)}


_B_REPEATS, _B_FILTERS = [1, 2, 2, 3, 5, 8], [32, 16, 32, 48, 96, 112, 192]
_SMALL = [
    (1, 16, 3, 2, 0.25, "relu"),
    (72 / 16, 24, 3, 2, None, "relu"),
    (88 / 24, 24, 3, 1, None, "relu"),
    (4, 40, 5, 2, 0.25, "hard_swish"),
    *[(6, 40, 5, 1, 0.25, "hard_swish")] * 2,
    *[(3, 48, 5, 1, 0.25, "hard_swish")] * 2,
    (6, 96, 5, 2, 0.25, "hard_swish"),
    *[(6, 96, 5, 1, 0.25, "hard_swish")] * 2,
]
_LARGE = [
    (1, 16, 3, 1, None, "relu"),
    (4, 24, 3, 2, None, "relu"),
    (3, 24, 3, 1, None, "relu"),
    (3, 40, 5, 2, 0.25, "relu"),
    *[(3, 40, 5, 1, 0.25, "relu")] * 2,
    (6, 80, 3, 2, None, "hard_swish"),
    (2.5, 80, 3, 1, None, "hard_swish"),
    *[(2.3, 80, 3, 1, None, "hard_swish")] * 2,
    *[(6, 112, 3, 1, 0.25, "hard_swish")] * 2,
    (6, 160, 5, 2, 0.25, "hard_swish"),
    *[(6, 160, 5, 1, 0.25, "hard_swish")] * 2,
]

# Name of the preset without weights -> (class in keras_cv.models, its arguments). CSPDarkNet is left
# out: its first layer needs even sizes. Transformers have no stride-4 level of convolutions to tap.
ARCHITECTURES = {
    **{f"resnet{depth}": ("ResNetBackbone", _resnet(depth)) for depth in _BLOCKS},
    **{f"resnet{depth}_v2": ("ResNetV2Backbone", _resnet(depth)) for depth in _BLOCKS},
    **{f"densenet{n}": ("DenseNetBackbone", {"stackwise_num_repeats": r}) for n, r in _REPEATS.items()},
    "mobilenet_v3_small": ("MobileNetV3Backbone", _mobilenet_v3(_SMALL)),
    "mobilenet_v3_large": ("MobileNetV3Backbone", _mobilenet_v3(_LARGE)),
    "efficientnetv2_b0": ("EfficientNetV2Backbone", _efficientnet_v2(_B_REPEATS, _B_FILTERS)),
    "efficientnetv2_b1": ("EfficientNetV2Backbone", _efficientnet_v2(_B_REPEATS, _B_FILTERS, 1.0, 1.1)),
    "efficientnetv2_b2": ("EfficientNetV2Backbone", _efficientnet_v2(_B_REPEATS, _B_FILTERS, 1.1, 1.2)),
    "efficientnetv2_b3": ("EfficientNetV2Backbone", _efficientnet_v2(_B_REPEATS, _B_FILTERS, 1.2, 1.4)),
    "efficientnetv2_s": (
        "EfficientNetV2Backbone",
        _efficientnet_v2([2, 4, 4, 6, 9, 15], [24, 24, 48, 64, 128, 160, 256]),
    ),
}


def build_keras_cv_backbone(config: ModelConfig) -> keras.Model:
    """As `build_backbone`: RGB float32 (batch, height, width, 3) in [0, 255] -> {"P2": …, …, "P5": …}.

    Args:
        config: `backbone` is `keras_cv:NAME` with a NAME of ARCHITECTURES.
    Raises: UserError for an unknown name, and for weights that cannot be had or do not fit.
    """
    name = config.backbone.removeprefix(KERAS_CV_PREFIX)
    if name not in ARCHITECTURES:
        raise UserError(
            f"--backbone={config.backbone}: allowed are {KERAS_CV_PREFIX}NAME with NAME one of "
            f"{', '.join(ARCHITECTURES)}"
        )
    from keras_cv import models  # takes seconds

    class_name, arguments = ARCHITECTURES[name]
    backbone_class = getattr(models, class_name)
    # The scaling with which the presets' ImageNet weights were trained, to [0, 1].
    options = {"include_rescaling": True}
    if class_name == "EfficientNetV2Backbone":
        # Dropped blocks would make two passes over one frame differ.
        options["skip_connection_dropout"] = 0.0
    if config.backbone_weights == "imagenet":
        backbone = _imagenet(backbone_class, name, options)
    else:
        backbone = backbone_class(**arguments, **options)
        if config.backbone_weights != "random":
            _load(backbone, config)

    _edit(backbone, config.batch_norm_momentum)
    taps = backbone.pyramid_level_inputs
    missing = [level for level in LEVELS if level not in taps]
    if missing:
        raise UserError(f"--backbone={config.backbone}: it has no pyramid level {', '.join(missing)}")
    levels = keras.Model(backbone.input, {level: backbone.get_layer(taps[level]).output for level in LEVELS})
    image = keras.Input((None, None, 3), name="image")
    return keras.Model(image, levels(image), name="backbone")


def _edit(backbone: keras.Model, momentum: float) -> None:
    """Makes batch norm ours, synchronised, and lets strided layers take odd sizes.

    In place, because some batch norm layers sit inside blocks, where a clone does not reach. No weight
    changes its shape.
    """
    for layer in backbone._flatten_layers(include_self=False):
        if isinstance(layer, layers.BatchNormalization):
            layer.__class__ = BatchNormalization  # it has no state that its base has not
            layer.synchronized = True
            layer.momentum = momentum
        elif isinstance(layer, layers.ZeroPadding2D):
            # It stands before a "valid" convolution; "same" pads alike at even sizes.
            layer.padding = ((0, 0), (0, 0))
        elif isinstance(layer, layers.DepthwiseConv2D | layers.AveragePooling2D):
            layer.padding = "same"


def _imagenet(backbone_class, name: str, options: dict) -> keras.Model:
    preset = f"{name}_imagenet"
    if preset not in backbone_class.presets_with_weights:
        have = [n for n, (c, _) in ARCHITECTURES.items() if f"{n}_imagenet" in _with_weights(c)]
        raise UserError(
            f"--backbone_weights=imagenet: keras_cv has none for {name}; it has them for {', '.join(have)}"
        )
    try:
        return backbone_class.from_preset(preset, **options)
    except Exception as error:  # download errors of many types
        raise UserError(
            f"--backbone_weights=imagenet: the weights of {KERAS_CV_PREFIX}{name} cannot be downloaded: "
            f"{first_line(error)}. Allowed without a network are random and the path of a weights file"
        ) from None


def _with_weights(class_name: str) -> dict:
    from keras_cv import models

    return getattr(models, class_name).presets_with_weights


def _load(backbone: keras.Model, config: ModelConfig) -> None:
    path = config.backbone_weights
    check_weights_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one line per layer that differs; the error says enough
            backbone.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise UserError(
            f"--backbone_weights={path}: not the weights of {config.backbone}: {first_line(error)}"
        ) from None
