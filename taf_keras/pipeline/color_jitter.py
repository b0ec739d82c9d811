"""Photometric augmentation (`--color_jitter`), with Keras' layers and draws of our own."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from keras import layers

# Largest changes: of brightness as a share of the range, of contrast and saturation as factors 1 ± this.
BRIGHTNESS, CONTRAST, SATURATION = 0.25, 0.4, 0.4


def draw_jitter(*key: int) -> np.ndarray:
    """Brightness shift (share of the range), contrast factor and saturation factor, float32 (3,).

    Args:
        key: what the draw is a function of, such as (stream, seed, epoch, example).
    """
    u = np.random.default_rng(key).uniform(-1, 1, 3)
    return np.float32([BRIGHTNESS * u[0], 1 + CONTRAST * u[1], 1 + SATURATION * u[2]])


class ColorJitter:
    """Applies drawn changes of colour to batches.

    Keras' layers would draw from a state of their own, so that a resumed run saw other colours; they
    are given the draws instead.
    """

    def __init__(self):
        # Their own factors are never used; the value range is where they clip.
        self.brightness = layers.RandomBrightness(BRIGHTNESS, value_range=(0, 1))
        self.contrast = layers.RandomContrast(CONTRAST, value_range=(0, 1))
        self.saturation = layers.RandomSaturation(0.5, value_range=(0, 1))

    def __call__(self, images, jitter):
        """uint8 RGB (batch, height, width, 3), float32 (batch, 3) of `draw_jitter` -> uint8 RGB."""
        shift, contrast, saturation = tf.unstack(jitter, axis=-1)
        x = tf.cast(images, tf.float32) / 255
        each = (slice(None), None, None, None)
        x = self.brightness.transform_images(x, {"rgb_delta": shift[each]})
        x = self.contrast.transform_images(x, {"contrast_factor": contrast[each]})
        x = self.saturation.transform_images(x, {"factor": saturation})
        return tf.cast(tf.round(255 * tf.clip_by_value(x, 0, 1)), tf.uint8)
