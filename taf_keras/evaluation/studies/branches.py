"""A network cut open at its branches, so that a study can change one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from taf_keras.models.layers import resize


class BranchedNetwork:
    """A model of `build_model` in two halves: image -> Φ, and Φ -> logits (Section 2.3).

    Args:
        network: its parts encoder, projection and head are used.
        branches: the names of the branches that a study is to change, all of them or some.
    """

    def __init__(self, network: keras.Model, branches: Sequence[str]):
        self.branches = tuple(branches)
        self._encoder = network.get_layer("encoder")
        self._projection = network.get_layer("projection")
        self._head = network.get_layer("head")

    @tf.function(reduce_retracing=True)
    def features(self, images) -> dict:
        """RGB (b, height, width, 3) in [0, 255] -> {name: Φ_i (b, h, w, channels)}, skips included."""
        return self._encoder(tf.cast(images, tf.float32), training=False)

    @tf.function(reduce_retracing=True)
    def logits(self, features: Mapping, size: tuple[int, int]):
        """Ω: such a dict -> float32 logits (b, *size, classes), `size` being the images' height and width.

        Of the features of some images it gives exactly what the whole network gives for the images.
        """
        terms = self._projection(features, training=False)
        return resize(self._head(terms, training=False), size)

    def predict(self, features: Mapping, size: tuple[int, int]) -> np.ndarray:
        """Such a dict -> train ids, int64 (b, *size)."""
        return tf.argmax(self.logits(features, size), axis=-1).numpy()

    def predict_images(self, images: np.ndarray) -> np.ndarray:
        """uint8 RGB (b, height, width, 3) -> train ids, int64 (b, height, width)."""
        return self.predict(self.features(images), images.shape[1:3])
