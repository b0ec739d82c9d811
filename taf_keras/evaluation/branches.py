"""A network cut open at its branches, so that a study can change one of them."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from taf_keras.evaluation.compiled import for_any_batch
from taf_keras.taf.cut import Cut


def mean_over_places(feature):
    """Float (batch, …, channels) -> (batch, 1, …, channels), the mean of each example."""
    return ops.mean(feature, axis=tuple(range(1, len(feature.shape) - 1)), keepdims=True)


class BranchedNetwork:
    """A network in two compiled parts: image -> Φ, and Φ -> logits (Section 2.3).

    Args:
        network: RGB (b, height, width, 3) in [0, 255] -> logits at the same size.
        layers: {branch: its layer}, all that were swapped in training.
        branch: the one that a study is to change; None is all.
    """

    def __init__(self, network: keras.Model, layers: Mapping[str, str], branch: str | None = None):
        self.branches = (branch,) if branch else tuple(layers)
        if layers:
            cut = Cut(network, layers)
            self._features, self._logits = for_any_batch(cut.features), for_any_batch(cut.head)
        self._outputs = for_any_batch(lambda images: network(tf.cast(images, tf.float32), training=False))

    def features(self, images) -> dict:
        """RGB (b, height, width, 3) in [0, 255] -> {name: Φ_i (b, h, w, channels)}, skips included."""
        return self._features(images)

    def logits(self, features: Mapping):
        """Ω: such a dict -> logits (b, height, width, classes).

        Of the features of some images it gives exactly what the whole network gives for the images.
        """
        return self._logits(features)

    def predict(self, features: Mapping) -> np.ndarray:
        """Such a dict -> train ids, int64 (b, height, width)."""
        return tf.argmax(self.logits(features), axis=-1).numpy()

    def predict_images(self, images: np.ndarray) -> np.ndarray:
        """uint8 RGB (b, height, width, 3) -> train ids, int64 (b, height, width)."""
        return tf.argmax(self._outputs(images), axis=-1).numpy()
