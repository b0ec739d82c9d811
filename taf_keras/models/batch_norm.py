"""Batch norm whose statistics may come from a part of the batch."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar

import keras
from keras import layers, ops

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


def normalise_by_first(layer: layers.BatchNormalization, inputs, normalise=None):
    """A training step's output of Keras' batch norm, with the statistics that `statistics_of_first` says.

    The layer's moving statistics take them over as in Keras.

    Args:
        inputs: float (batch, …), the channels in `layer.axis`.
        normalise: (layer, x, gamma, beta, share) -> output, mean, variance; None is the definition.
    Returns: the same shape, in the layer's compute dtype.
    """
    x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
    gamma = ops.cast(layer.gamma if layer.scale else ops.ones_like(layer.moving_mean), x.dtype)
    beta = ops.cast(layer.beta if layer.center else ops.zeros_like(layer.moving_mean), x.dtype)
    y, *statistics = (normalise or _normalise)(layer, x, gamma, beta, _statistics_share.get())
    for moving, value in zip((layer.moving_mean, layer.moving_variance), statistics, strict=True):
        moving.assign(moving * layer.momentum + ops.cast(value, moving.dtype) * (1 - layer.momentum))
    return ops.cast(y, layer.compute_dtype)


def _normalise(layer, x, gamma, beta, share: int):
    channels = layer.axis % len(x.shape)
    axes = [axis for axis in range(len(x.shape)) if axis != channels]
    mean, variance = ops.moments(x[: ops.shape(x)[0] // share], axes, synchronized=layer.synchronized)
    y = ops.batch_normalization(x, mean, variance, channels, beta, gamma, layer.epsilon)
    return y, mean, variance


@keras.saving.register_keras_serializable("taf_keras")
class BatchNormalization(layers.BatchNormalization):
    """Batch norm over the last axis; its statistics are those of the part that `statistics_of_first` says.

    With `synchronized`, of that part of every replica's batch; only TensorFlow has such replicas.
    Inference is Keras' own.
    """

    def __init__(self, *args, synchronized: bool = False, **kwargs):
        super().__init__(
            *args, synchronized=synchronized and keras.backend.backend() == "tensorflow", **kwargs
        )

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable):
            return super().call(inputs, training=False)
        if keras.backend.backend() != "tensorflow":
            return normalise_by_first(self, inputs)
        from taf_keras.models import tensorflow_batch_norm

        return normalise_by_first(self, inputs, tensorflow_batch_norm.fast_normalise)


def batch_norm(momentum: float, name: str):
    return BatchNormalization(momentum=momentum, epsilon=1e-5, synchronized=True, name=name)
