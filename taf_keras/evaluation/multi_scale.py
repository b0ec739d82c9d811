"""Multi-scale testing: probabilities averaged over sizes of a frame, and over it and its mirror image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from taf_keras.clips.decode import read_image
from taf_keras.errors import require
from taf_keras.evaluation.evaluate import Predict, Probabilities, is_finite, refuse_nonfinite
from taf_keras.models.layers import resize
from taf_keras.settings import text_of


def require_scales(scales: Sequence[float]) -> None:
    """Raises: UserError unless there are scales, all finite and above 0."""
    allowed = len(scales) > 0 and all(0 < scale < float("inf") for scale in scales)
    require(allowed, f"--scales={text_of(tuple(scales))}: must be numbers above 0, such as 0.5,1,1.5")


def multi_scale_predictor(
    probabilities: Probabilities, scales: Sequence[float] = (1.0,), flip: bool = False
) -> Predict:
    """Predicts the class of the largest mean probability.

    Frames are resized as training resizes them, and the probabilities bilinearly back to the frame's size.
    No more pixels are segmented at once than the frames have at their own size, if they are several.

    Args:
        scales: sizes as multiples of the frame's own; every one counts alike.
        flip: the mirror image counts as much as the frame, at every scale.
    Raises: UserError, when it is called, for probabilities that are not finite.
    """

    def predict(images):
        images = np.asarray(images)
        size = images.shape[1:3]
        total = 0.0  # a sum has its maximum where the mean has it
        for scale in scales:
            scaled = tuple(max(1, round(scale * side)) for side in size)
            frames = np.stack([read_image(image, scaled) for image in images])
            at_once = max(1, int(len(frames) / max(1.0, scale) ** 2))
            for mirrored in (False, True) if flip else (False,):
                turn = slice(None, None, -1 if mirrored else 1)
                parts = np.split(frames[:, :, turn], range(at_once, len(frames), at_once))
                found = tf.concat([probabilities(part) for part in parts], axis=0)
                total += resize(found, size)[:, :, turn]
        return refuse_nonfinite(tf.argmax(total, axis=-1, output_type=tf.int32), is_finite(total))

    return predict
