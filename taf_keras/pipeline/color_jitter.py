"""Photometric augmentation (`--color_jitter`), with Keras' layers and random numbers of our own."""

from __future__ import annotations

import tensorflow as tf
from keras import layers


class ColorJitter:
    """Applies the changes of colour of `pairing.sample_jitter` to batches.

    Keras' layers would sample from a state of their own, so that a resumed run saw other colours.
    """

    def __init__(self):
        # The factors would be the ranges of their own samples, which nobody uses; the value range is where
        # they clip.
        self.brightness = layers.RandomBrightness(0.5, value_range=(0, 1))
        self.contrast = layers.RandomContrast(0.5, value_range=(0, 1))
        self.saturation = layers.RandomSaturation(0.5, value_range=(0, 1))

    def __call__(self, images, jitter):
        """uint8 RGB (batch, height, width, 3), float32 (batch, 3) of `sample_jitter` -> uint8 RGB."""
        shift, contrast, saturation = tf.unstack(jitter, axis=-1)
        x = tf.cast(images, tf.float32) / 255
        each = (slice(None), None, None, None)
        x = self.brightness.transform_images(x, {"rgb_delta": shift[each]})
        x = self.contrast.transform_images(x, {"contrast_factor": contrast[each]})
        x = self.saturation.transform_images(x, {"factor": saturation})
        return tf.cast(tf.round(255 * tf.clip_by_value(x, 0, 1)), tf.uint8)
