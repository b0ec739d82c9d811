"""The moving average of a network's weights: the teacher of mean teacher (Tarvainen and Valpola 2017)."""

from __future__ import annotations

import keras
import tensorflow as tf
from keras import ops


class MovingAverage:
    """Keeps `average`, a network of the same layers, at the exponential moving average of `network`'s
    weights.

    Statistics of batch norm are averaged as the other weights are.

    Args:
        network: what is trained.
        average: its weights are overwritten by those of `network`.
        momentum: share of the average that a step keeps. The n-th step keeps n / (n + 1) while that is less,
            so that the random weights of the beginning are soon forgotten.
    """

    def __init__(self, network: keras.Model, average: keras.Model, momentum: float):
        average.set_weights(network.get_weights())
        average.trainable = False
        self.average, self.momentum = average, momentum
        self._pairs = [
            (mean, variable)
            for mean, variable in zip(average.weights, network.weights, strict=True)
            if keras.backend.is_float_dtype(variable.dtype)  # not the states of what samples
        ]

    def __call__(self, images):
        """RGB (batch, height, width, 3) in [0, 255] -> the average's logits, in inference mode."""
        return self.average(ops.cast(images, "float32"), training=False)

    def update(self, step) -> None:
        """To be called once after each step, in the replica context: `step` are those that are done."""
        kept = ops.minimum(self.momentum, 1 - 1 / (ops.cast(step, "float32") + 1))
        # All replicas have the same weights by now, and each of the variables is to be written once.
        tf.distribute.get_replica_context().merge_call(self._update, args=(1 - kept,))

    def _update(self, strategy, share) -> None:
        for mean, variable in self._pairs:
            strategy.extended.update(
                mean.value,
                lambda mean, variable, share: mean.assign_add(tf.cast(share, mean.dtype) * (variable - mean)),
                args=(variable.value, share),
            )
