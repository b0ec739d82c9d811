"""Frames of a size that a network with strides does not take, padded to one that it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from taf_keras.errors import UserError, first_line
from taf_keras.sizes import Size, size_text

STRIDE = 32  # px: networks that halve their frames up to five times take its multiples

Segment = Callable[[np.ndarray], Any]  # uint8 RGB (b, h, w, 3) -> (b, h, w), or (b, h, w, channels)


def padded(segment: Segment, remedy: str) -> Segment:
    """`segment`, but for sizes that it refuses the frames get a border up to the next multiples of `STRIDE`.

    A U-Net of one's own, say, joins features of 30 and 29 rows where 59 rows are halved: the sizes of its
    training fit, and frames of another aspect ratio may not. The border repeats the last pixels at the bottom
    and on the right; nothing of it is in what is returned.

    Raises: UserError, when it is called, for a size that does not fit with a border either; it ends with the
        `remedy`. That memory is short is raised as it is.

    Example:
        >>> def halved(images):
        ...     if images.shape[1] % 2:
        ...         raise ValueError("odd")
        ...     return images[..., 0]
        >>> padded(halved, "give another size")(np.zeros((1, 59, 105, 3), np.uint8)).shape
        (1, 59, 105)
    """
    refused: set[Size] = set()

    def segment_padded(images: np.ndarray):
        height, width = size = images.shape[1:3]
        border = (-height % STRIDE, -width % STRIDE)
        if size not in refused:
            try:
                return _checked(segment, images)
            except _Unfit:
                if not any(border):
                    raise
                refused.add(size)
        bordered = np.pad(images, ((0, 0), (0, border[0]), (0, border[1]), (0, 0)), "edge")
        return _checked(segment, bordered)[:, :height, :width]

    def segment_or_refuse(images: np.ndarray):
        try:
            return segment_padded(images)
        except _Unfit as unfit:
            size = size_text(images.shape[1:3])
            raise UserError(f"frames of {size} px cannot be segmented ({unfit}): {remedy}") from None

    return segment_or_refuse


class _Unfit(Exception):
    """Why the network does not take frames of a size."""


def _checked(segment: Segment, images: np.ndarray):
    try:
        found = segment(images)
    except UserError:
        raise
    except Exception as error:  # TensorFlow and ONNX Runtime have one each
        if type(error).__name__ == "ResourceExhaustedError":  # by name: it may run without TensorFlow
            raise
        raise _Unfit(first_line(error)) from None
    if found.shape[:3] != images.shape[:3]:  # LiteRT joins what does not fit
        raise _Unfit(f"its labels have {size_text(found.shape[1:3])} px")
    return found
