"""The few layers that both models share."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar

import keras
import tensorflow as tf
from keras import layers, ops


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
    # keras.ops.image.resize refuses sizes that are known only when the graph runs, as in the export.
    return ops.cast(tf.image.resize(features, size, method="bilinear"), features.dtype)


_statistics_share = ContextVar("statistics_share", default=1)


@contextmanager
def statistics_of_first(share: int):
    """Inside, batch norm in training takes its statistics from the first 1/`share` of its batch.

    The whole batch is normalised with them. Keras hands `training` to the layers of a functional model
    and nothing else, hence a context.
    """
    token = _statistics_share.set(share)
    try:
        yield
    finally:
        _statistics_share.reset(token)


@keras.saving.register_keras_serializable("taf_keras")
class BatchNormalization(layers.BatchNormalization):
    """Batch norm over the global batch of all replicas, or over the part that `statistics_of_first` says."""

    def call(self, inputs, training=None, mask=None):
        share = _statistics_share.get()
        if not training or share == 1:
            return super().call(inputs, training=training, mask=mask)
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        axes = list(range(len(x.shape) - 1))
        first = x[: ops.shape(x)[0] // share]
        mean, variance = ops.moments(first, axes, synchronized=self.synchronized)
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + ops.cast(value, moving.dtype) * (1 - self.momentum))
        x = ops.batch_normalization(
            x, mean, variance, axis=-1, offset=self.beta, scale=self.gamma, epsilon=self.epsilon
        )
        return ops.cast(x, self.compute_dtype)


def batch_norm(momentum: float, name: str):
    return BatchNormalization(momentum=momentum, epsilon=1e-5, synchronized=True, name=name)


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
