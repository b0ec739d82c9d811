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


def normalise_by_first(layer: layers.BatchNormalization, inputs):
    """A training step's output of Keras' batch norm, with the statistics that `statistics_of_first` says.

    The layer's moving statistics take them over as in Keras.

    Args:
        inputs: float (batch, …), the channels in `layer.axis`.
    Returns: the same shape, in the layer's compute dtype.
    """
    x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
    gamma = ops.cast(layer.gamma, x.dtype) if layer.scale else None
    beta = ops.cast(layer.beta, x.dtype) if layer.center else None
    channels = layer.axis % len(x.shape)
    axes = [axis for axis in range(len(x.shape)) if axis != channels]
    first = x[: ops.shape(x)[0] // _statistics_share.get()]
    mean, variance = ops.moments(first, axes, synchronized=layer.synchronized)
    keep_statistics(layer, mean, variance)
    y = ops.batch_normalization(x, mean, variance, channels, beta, gamma, layer.epsilon)
    return ops.cast(y, layer.compute_dtype)


def keep_statistics(layer: layers.BatchNormalization, mean, variance) -> None:
    """Moves the layer's moving statistics towards those of a batch."""
    for moving, value in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        moving.assign(moving * layer.momentum + ops.cast(value, moving.dtype) * (1 - layer.momentum))


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
        from taf_keras.models.tensorflow_batch_norm import fast_normalise

        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        gamma = ops.cast(self.gamma if self.scale else ops.ones_like(self.moving_mean), x.dtype)
        beta = ops.cast(self.beta if self.center else ops.zeros_like(self.moving_mean), x.dtype)
        centre = ops.cast(self.moving_mean, x.dtype) if self.synchronized else None
        y, mean, variance = fast_normalise(x, gamma, beta, self.epsilon, _statistics_share.get(), centre)
        keep_statistics(self, mean, variance)
        return ops.cast(y, self.compute_dtype)


def batch_norm(momentum: float, name: str):
    return BatchNormalization(momentum=momentum, epsilon=1e-5, synchronized=True, name=name)
