"""LiteRT in 8-bit integers: the frames that choose their ranges, and what the converter is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from taf_keras.clips.clip import Split
from taf_keras.clips.decode import read_image
from taf_keras.sizes import Size

FRAMES = 100


def representative_frames(split: Split, image_size: Size | None) -> Iterator[np.ndarray]:
    """Up to FRAMES key frames, evenly spread over the split, in its order: uint8 RGB (height, width, 3).

    One pixel of the first is black and one is white. So the input's integers are those of a picture, 0 to
    255, however bright the frames are.

    Args:
        image_size: (height, width), px; None is the frames' own.
    """
    count = min(FRAMES, len(split.clips))
    for number in range(count):
        clip = split.clips[number * len(split.clips) // count]
        frame = read_image(clip.key_frame.image, image_size)
        if number == 0:
            frame = frame.copy()  # it may be the data set's own
            frame[0, 0], frame[-1, -1] = 0, 255
        yield frame


def converter_settings(frames: Callable[[], Iterator[np.ndarray]]) -> dict:
    """What `keras.Model.export(format="litert")` hands to TensorFlow's converter.

    Weights and features become 8-bit integers, with the ranges that features have on `frames`. Operations
    that have no integer form stay in float32. The input is uint8; the outputs are those of float32.

    Args:
        frames: makes uint8 RGB frames (height, width, 3), anew at each call.
    """
    return {
        "optimizations": [tf.lite.Optimize.DEFAULT],
        "representative_dataset": lambda: ([frame[None].astype(np.float32)] for frame in frames()),
        "target_spec": {
            "supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
        },
        "inference_input_type": tf.uint8,
    }
