"""DeepLabV3+ (Chen et al. 2018) with its ASPP as five branches and its decoder as Ω (Section 2.3)."""

from __future__ import annotations

from keras import layers

from taf_keras.config import ModelConfig
from taf_keras.models.layers import ConvBlocks, ResizeLike

# Dilation rates are defined at output stride 16 and scale with the resolution of the features.
_RATES = {"atrous18": 18, "atrous12": 12, "atrous6": 6}
_LOW_LEVEL_SHARE = 48 / 256  # channels of the reduced low-level feature per head channel, as published


def logits(levels: dict, num_classes: int, config: ModelConfig):
    """ASPP and decoder: {"P2": …, "P5": …} -> logits at stride 4.

    The branches are swapped where Ω has mapped each of them by its 1×1 projection (`config.BRANCHES`): an
    affine map commutes with the swap, and there are fewer channels after it. There is no dropout here: the
    two passes of Eq. 6 must differ by the swap alone.
    """
    block, channels = ConvBlocks(config.batch_norm_momentum), config.head_channels

    # Φ. `image_pool` is (batch, 1, 1, channels): one vector for the whole frame.
    x = levels["P5"]
    pooled = layers.GlobalAveragePooling2D(keepdims=True, name="image_pool_mean")(x)
    features = {"image_pool": block.conv(pooled, channels, "image_pool")}
    for name, rate in _RATES.items():
        features[name] = block.separable(x, channels, name, rate=max(1, rate * 16 // config.output_stride))
    features["conv1x1"] = block.conv(x, channels, "conv1x1")
    # The reduced stride-4 feature belongs to Ω and is never swapped.
    low_level = block.conv(levels["P2"], max(1, round(channels * _LOW_LEVEL_SHARE)), "low_level")

    # Ω: the 1×1 convolution of the concatenated branches, written as one convolution per branch.
    terms = [
        layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_projection")(x)
        for name, x in features.items()
    ]
    x = layers.Add(name="projection_sum")(terms[::-1])  # image_pool broadcasts over height and width
    x = block.norm_relu(x, "projection")
    x = ResizeLike(name="up4")([x, low_level])
    x = layers.Concatenate(name="decoder_input")([x, low_level])
    x = block.separable(x, channels, "decoder1")
    x = block.separable(x, channels, "decoder2")
    return layers.Conv2D(num_classes, 1, dtype="float32", name="logits")(x)
