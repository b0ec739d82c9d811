"""Backbones of keras_cv, under the contract of `taf_keras.models.backbones.build_backbone`.

keras_cv downloads even the architectures of its named presets, so they are spelled out here; the
tests compare their parameter counts with those that keras_cv publishes.
"""

from __future__ import annotations

import keras
from keras import layers

from taf_keras.config import KERAS_CV_PREFIX, ModelConfig
from taf_keras.errors import UserError
from taf_keras.models.batch_norm import BatchNormalization
from taf_keras.models.pyramid import LEVELS, download, load_file, pyramid

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


# Width and depth of the EfficientNetV2 B0, B1, …
_B_SCALES = [(1.0, 1.0), (1.0, 1.1), (1.1, 1.2), (1.2, 1.4)]
_B_STAGES = [1, 2, 2, 3, 5, 8], [32, 16, 32, 48, 96, 112, 192]
# Howard et al. 2019, Tables 1 and 2: a column of each.
_MOBILENET_V3_SMALL = {
    "stackwise_expansion": [1, 72 / 16, 88 / 24, 4, 6, 6, 3, 3, 6, 6, 6],
    "stackwise_filters": [16, 24, 24, 40, 40, 40, 48, 48, 96, 96, 96],
    "stackwise_kernel_size": [3] * 3 + [5] * 8,
    "stackwise_stride": [2, 2, 1, 2, 1, 1, 1, 1, 2, 1, 1],
    "stackwise_se_ratio": [0.25, None, None] + [0.25] * 8,
    "stackwise_activation": ["relu"] * 3 + ["hard_swish"] * 8,
}
_MOBILENET_V3_LARGE = {
    "stackwise_expansion": [1, 4, 3, 3, 3, 3, 6, 2.5, 2.3, 2.3, 6, 6, 6, 6, 6],
    "stackwise_filters": [16, 24, 24, 40, 40, 40, 80, 80, 80, 80, 112, 112, 160, 160, 160],
    "stackwise_kernel_size": [3] * 3 + [5] * 3 + [3] * 6 + [5] * 3,
    "stackwise_stride": [1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1],
    "stackwise_se_ratio": [None] * 3 + [0.25] * 3 + [None] * 4 + [0.25] * 5,
    "stackwise_activation": ["relu"] * 6 + ["hard_swish"] * 9,
}

# Name of the preset without weights -> (class in keras_cv.models, its arguments). CSPDarkNet is left
# out: its first layer needs even sizes. Transformers have no stride-4 level of convolutions to tap.
ARCHITECTURES = {
    **{f"resnet{depth}": ("ResNetBackbone", _resnet(depth)) for depth in _BLOCKS},
    **{f"resnet{depth}_v2": ("ResNetV2Backbone", _resnet(depth)) for depth in _BLOCKS},
    **{f"densenet{n}": ("DenseNetBackbone", {"stackwise_num_repeats": r}) for n, r in _REPEATS.items()},
    "mobilenet_v3_small": ("MobileNetV3Backbone", _MOBILENET_V3_SMALL),
    "mobilenet_v3_large": ("MobileNetV3Backbone", _MOBILENET_V3_LARGE),
    **{
        f"efficientnetv2_b{i}": ("EfficientNetV2Backbone", _efficientnet_v2(*_B_STAGES, *scales))
        for i, scales in enumerate(_B_SCALES)
    },
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
        preset = f"{name}_imagenet"
        if preset not in backbone_class.presets_with_weights:
            presets = {
                n: f"{n}_imagenet" in getattr(models, c).presets_with_weights
                for n, (c, _) in ARCHITECTURES.items()
            }
            raise UserError(
                f"--backbone_weights=imagenet: keras_cv has none for {name}; it has them for "
                f"{', '.join(n for n, has in presets.items() if has)}"
            )
        backbone = download(lambda: backbone_class.from_preset(preset, **options), config.backbone)
    else:
        backbone = backbone_class(**arguments, **options)
        if config.backbone_weights != "random":
            load_file(backbone, config.backbone_weights, config.backbone)

    _edit(backbone, config.batch_norm_momentum)
    taps = backbone.pyramid_level_inputs
    missing = [level for level in LEVELS if level not in taps]
    if missing:
        raise UserError(f"--backbone={config.backbone}: it has no pyramid level {', '.join(missing)}")
    return pyramid(backbone, taps)


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
