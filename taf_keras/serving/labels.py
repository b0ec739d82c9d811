"""A network's labels without the full-size scores of all classes, gigabytes for large frames."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from taf_keras.models.layers import ResizeLike

_STRIP_SCORES = 2**20  # scores of one strip: a few MB, so that it stays in a cache
_UINT8_CLASSES = 256


def labels_of(network: keras.Model) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """A function of images: `labels`, the class of the largest logit, and `finite`, (batch,): are all logits?

    Labels are equal to the argmax of the network's output, uint8 (batch, height, width), int32 for more than
    256 classes. Where the network ends in a resize of its logits to the image, as those of `build_model` do,
    that is done by strips of rows, each of which becomes labels before the next.
    """
    (image,), (output,) = network.inputs, network.outputs
    last = network.layers[-1]
    if isinstance(last, ResizeLike) and last.output is output and last.input[1] is image:
        coarse = keras.Model(image, last.input[0])

        def labels(images):
            logits = tf.cast(coarse(tf.cast(images, tf.float32), training=False), tf.float32)
            return _resized_argmax(logits, tf.shape(images)[1:3]), _is_finite(logits)

    else:

        def labels(images):
            logits = network(tf.cast(images, tf.float32), training=False)
            return _argmax(logits), _is_finite(logits)

    return lambda images: dict(zip(("labels", "finite"), labels(images), strict=True))


def _is_finite(logits):
    return tf.math.is_finite(tf.reduce_sum(logits, axis=(1, 2, 3)))  # what is not finite stays so in a sum


def _argmax(logits):
    kind = tf.uint8 if logits.shape[-1] <= _UINT8_CLASSES else tf.int32
    return tf.cast(tf.argmax(logits, axis=-1, output_type=tf.int32), kind)


def _resized_argmax(logits, size):
    """argmax(resize(logits, size)) of float32 (batch, h, w, classes), bilinear, strip by strip of rows.

    The operations of a pixel, and their order, are those of TensorFlow's own resize: along x, then along y.
    """
    height, width = size[0], size[1]
    shape = tf.shape(logits)
    scale = tf.cast(shape[1], tf.float32) / tf.cast(height, tf.float32)
    rows = tf.clip_by_value(_STRIP_SCORES // (shape[0] * width * shape[3]), 1, height)

    def strip(first):
        y = tf.minimum(first + tf.range(rows), height - 1)  # the last strip may reach beyond the image
        position = (tf.cast(y, tf.float32) + 0.5) * scale - 0.5
        below = tf.cast(tf.maximum(tf.floor(position), 0), tf.int32)
        above = tf.minimum(tf.cast(tf.math.ceil(position), tf.int32), shape[1] - 1)
        part = logits[:, below[0] : above[-1] + 1]
        wide = tf.image.resize(part, [tf.shape(part)[1], width])
        below, above = (tf.gather(wide, index - below[0], axis=1) for index in (below, above))
        scores = below + (above - below) * (position - tf.floor(position))[:, None, None]
        return _argmax(scores)  # (batch, rows, width)

    kind = tf.uint8 if logits.shape[-1] <= _UINT8_CLASSES else tf.int32
    # One strip after the other.
    strips = tf.map_fn(strip, tf.range(0, height, rows), parallel_iterations=1, fn_output_signature=kind)
    labels = tf.reshape(tf.transpose(strips, (1, 0, 2, 3)), (shape[0], -1, width))
    return labels[:, :height]
