"""DeepLabV3+ (Chen et al. 2018) with its ASPP as five branches and its decoder as Ω (Section 2.3)."""

from __future__ import annotations

from keras import layers

from taf_keras.config import ModelConfig
from taf_keras.models.layers import ConvBlocks, ResizeLike

# Dilation rates are defined at output stride 16 and scale with the resolution of the features.
_RATES = {"atrous18": 18, "atrous12": 12, "atrous6": 6}
_LOW_LEVEL_SHARE = 48 / 256  # channels of the reduced low-level feature per head channel, as published


def features(levels: dict, config: ModelConfig) -> dict:
    """Φ, the branches of the ASPP, and `low_level`, the reduced stride-4 feature.

    `low_level` belongs to Ω and is never swapped; it is computed here because the swap cannot
    change it. `image_pool` is (batch, 1, 1, channels): one vector for the whole frame.
    """
    block, channels = ConvBlocks(config.batch_norm_momentum), config.head_channels
    x = levels["P5"]
    pooled = layers.GlobalAveragePooling2D(keepdims=True, name="image_pool_mean")(x)
    branches = {"image_pool": block.conv(pooled, channels, "image_pool")}
    for name, rate in _RATES.items():
        branches[name] = block.separable(x, channels, name, rate=max(1, rate * 16 // config.output_stride))
    branches["conv1x1"] = block.conv(x, channels, "conv1x1")
    reduced = max(1, round(channels * _LOW_LEVEL_SHARE))
    return branches | {"low_level": block.conv(levels["P2"], reduced, "low_level")}


def projection(features: dict, num_classes: int, config: ModelConfig) -> dict:
    """The 1×1 convolution of the concatenated branches, written as one convolution per branch."""
    return {
        name: layers.Conv2D(config.head_channels, 1, use_bias=False, name=f"{name}_projection")(
            features[name]
        )
        for name in config.branches
    } | {"low_level": features["low_level"]}


def head(terms: dict, num_classes: int, config: ModelConfig):
    """The rest of Ω: sum, upsample, concatenate the low-level feature, refine. Logits at stride 4.

    There is no dropout here: the two passes of Eq. 6 must differ by the swap alone.
    """
    block, channels = ConvBlocks(config.batch_norm_momentum), config.head_channels
    *wide, pooled = reversed([terms[name] for name in config.branches])
    x = layers.Add(name="projection_sum")([*wide, pooled])  # pooled broadcasts over height and width
    x = block.norm_relu(x, "projection")
    x = ResizeLike(name="up4")([x, terms["low_level"]])
    x = layers.Concatenate(name="decoder_input")([x, terms["low_level"]])
    x = block.separable(x, channels, "decoder1")
    x = block.separable(x, channels, "decoder2")
    return layers.Conv2D(num_classes, 1, dtype="float32", name="logits")(x)
