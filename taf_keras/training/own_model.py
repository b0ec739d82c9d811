"""What is asked of a model of the user's own before the first step, not at the first validation."""

from __future__ import annotations

import re
from collections.abc import Mapping

import keras
import tensorflow as tf

from taf_keras.clips.clip import Split
from taf_keras.clips.decode import read_image
from taf_keras.config import Config
from taf_keras.errors import UserError, first_line
from taf_keras.models.own_dtype import dtype_fault
from taf_keras.sizes import Size, size_text

_STRIDES = (1, 2, 4, 8, 16, 32, 64, 128)


def check_own_model(config: Config, network: keras.Model, splits: Mapping[str, Split]) -> None:
    """Looks at the formats of its layers, and shows it the sizes of the frames and of the crops.

    Raises: UserError for layers that do not follow `--dtype`, and for a size that the network does not take.
    """
    if not config.model.is_own:
        return
    flag, data = f"--model={config.model.model}", config.data
    if fault := dtype_fault(network, config.training.dtype):
        raise UserError(f"{flag}: {fault}")
    frames = [read_image(split.clips[0].key_frame.image, data.image_size) for split in splits.values()]
    sizes = {frame.shape[:2]: ("frames", "--image_size") for frame in frames}  # a split may have its own
    if data.crop_size:
        sizes.setdefault(tuple(data.crop_size), ("crops", "--crop_size"))
    for size, (what, setting) in sizes.items():
        if reason := _refusal(network, size):
            other = next((s for s in _near(network, size) if not _refusal(network, s)), None)
            remedy = f"{setting}={size_text(other)}" if other else f"another {setting}"
            raise UserError(f"{flag}: {what} of {size_text(size)} px do not fit: {reason}: give {remedy}")


def _refusal(network: keras.Model, size: Size) -> str | None:
    """Why the network does not take images of `size`; None where it does.

    It is traced: symbolic tensors pass layers such as Concatenate unchecked.
    """
    fixed = network.inputs[0].shape[1:3]
    if None not in fixed:
        return None if size == fixed else f"it takes {size_text(fixed)} px alone"
    images = tf.TensorSpec((None, *size, 3), tf.float32)
    try:
        tf.function(lambda x: network(x, training=False)).get_concrete_function(images)
    except Exception as error:  # of many types, from whatever layer it is
        return _reason(error)
    return None


def _near(network: keras.Model, size: Size) -> list[Size]:
    """Sizes up to `size` that the network may take: those of its input, and multiples of a stride."""
    fixed = network.inputs[0].shape[1:3]
    found = (
        tuple(whole or side // stride * stride for whole, side in zip(fixed, size, strict=True))
        for stride in _STRIDES
    )
    return [near for near in dict.fromkeys(found) if near != size and min(near) > 0]


def _reason(error: Exception) -> str:
    """The first sentence of what the layer itself has said, which Keras and TensorFlow wrap in theirs."""
    text = str(error)
    layer = re.search(r"when calling (\w+)\.call\(\)", text)
    bold = re.search(r"\x1b\[1m(.+?)(\. |\.?\n| for '|\.?\x1b)", text)
    if bold:
        return f"{layer[1]}: {bold[1]}" if layer else bold[1]
    wrapped = re.findall(r"^ *\w+Error: (.+?)\.?$", text, re.MULTILINE)
    return wrapped[-1] if wrapped else first_line(error)
