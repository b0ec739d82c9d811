"""The few layers that both models share."""

from __future__ import annotations

import keras
from keras import layers, ops

from taf_keras.models.batch_norm import batch_norm


@keras.saving.register_keras_serializable("taf_keras")
class ResizeLike(layers.Layer):
    """Resizes its first input bilinearly to the height and width of its second.

    Inputs: (batch, h, w, channels) and a reference (batch, H, W, any).
    Returns: (batch, H, W, channels), in the layer's dtype.
    """

    def call(self, inputs):
        features, reference = inputs
        return resize(features, ops.shape(reference)[1:3])

    def compute_output_shape(self, input_shape):
        features, reference = input_shape
        return (*features[:1], *reference[1:3], features[3])


def resize(features, size):
    """(batch, h, w, channels) -> (batch, *size, channels), bilinear, pixel centres aligned."""
    wide = ops.cast(features, "float32")  # XLA has no gradient of a resize in half precision
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # keras.ops.image.resize refuses sizes that are known only when the graph runs, as in the export.
        wide = tf.image.resize(wide, size, method="bilinear")
    else:
        wide = ops.image.resize(wide, size, interpolation="bilinear", data_format="channels_last")
    return ops.cast(wide, features.dtype)


class ConvBlocks:
    """Makes named convolution + batch norm + ReLU blocks with one batch norm momentum."""

    def __init__(self, batch_norm_momentum: float):
        self.momentum = batch_norm_momentum

    def norm_relu(self, x, name: str):
        x = batch_norm(self.momentum, f"{name}_bn")(x)
        return layers.ReLU(name=f"{name}_relu")(x)

    def conv(self, x, channels: int, name: str):
        """1×1 convolution."""
        x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_conv")(x)
        return self.norm_relu(x, name)

    def separable(self, x, channels: int, name: str, rate: int = 1):
        """3×3 depthwise convolution at dilation `rate`, then 1×1, each normalised (DeepLabV3+, Fig. 3)."""
        x = layers.DepthwiseConv2D(
            3, padding="same", dilation_rate=rate, use_bias=False, name=f"{name}_depthwise"
        )(x)
        x = self.norm_relu(x, f"{name}_depthwise")
        return self.conv(x, channels, name)
