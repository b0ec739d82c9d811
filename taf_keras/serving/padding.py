"""Frames of a size that a network with strides does not take, padded to one that it does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from taf_keras.errors import UserError, first_line
from taf_keras.sizes import Size, size_text

STRIDE = 32  # px: networks that halve their frames up to five times take its multiples

Labels = Callable[[np.ndarray], np.ndarray]


def padded(labels: Labels) -> Labels:
    """`labels`, but for sizes that it refuses the frames get a border up to the next multiples of `STRIDE`.

    A U-Net of one's own, say, joins features of 30 and 29 rows where 59 rows are halved: the sizes of its
    training fit, and frames of another aspect ratio may not. The border repeats the last pixels at the bottom
    and on the right; nothing of it is in what is returned.

    Raises: UserError, when it is called, for a size that does not fit with a border either.

    Example:
        >>> def halved(images):
        ...     if images.shape[1] % 2:
        ...         raise ValueError("odd")
        ...     return images[..., 0]
        >>> padded(halved)(np.zeros((1, 59, 105, 3), np.uint8)).shape
        (1, 59, 105)
    """
    refused: set[Size] = set()

    def with_border(images: np.ndarray) -> np.ndarray:
        height, width = size = images.shape[1:3]
        border = (-height % STRIDE, -width % STRIDE)
        if size not in refused:
            try:
                return _checked(labels, images)
            except _Unfit as unfit:
                if not any(border):
                    raise _refusal(size, unfit) from None
                refused.add(size)
        try:
            found = _checked(labels, np.pad(images, ((0, 0), (0, border[0]), (0, border[1]), (0, 0)), "edge"))
        except _Unfit as unfit:
            raise _refusal(size, unfit) from None
        return found[:, :height, :width]

    return with_border


class _Unfit(Exception):
    """Why the network does not take frames of a size."""


def _refusal(size: Size, unfit: _Unfit) -> UserError:
    return UserError(f"frames of {size_text(size)} px cannot be segmented ({unfit}): give another --size")


def _checked(labels: Labels, images: np.ndarray) -> np.ndarray:
    try:
        found = labels(images)
    except UserError:
        raise
    except Exception as error:  # TensorFlow and ONNX Runtime have one each
        raise _Unfit(first_line(error)) from None
    if found.shape != images.shape[:3]:  # LiteRT joins what does not fit
        raise _Unfit(f"its labels have {size_text(found.shape[1:])} px")
    return found
