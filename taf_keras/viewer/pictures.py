"""The pictures of a page: frames as JPEG, and over them label maps as PNG with the classes' colours."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from taf_keras.clips.clip import VOID, ClassTable
from taf_keras.clips.decode import resized_ids
from taf_keras.files import write_bytes
from taf_keras.sizes import Size

LONGEST_PX = 640  # of a picture's sides; larger ones are reduced
WRONG_COLOUR, VOID_COLOUR = (255, 0, 200), (0, 0, 0)
_QUALITY = 75  # of JPEG
_RIGHT, _WRONG, _VOID = range(3)


def shown_size(size: Size) -> Size:
    """(height, width) of the picture of a frame of this size, px."""
    factor = min(1.0, LONGEST_PX / max(size))
    return max(1, round(factor * size[0])), max(1, round(factor * size[1]))


def write_image(path: Path, image: np.ndarray) -> None:
    """A frame, uint8 RGB (height, width, 3), as JPEG."""
    size = shown_size(image.shape[:2])
    if size != image.shape[:2]:
        image = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    write_bytes(path, cv2.imencode(".jpg", image[..., ::-1], options)[1].tobytes())


def write_label(path: Path, label: np.ndarray, classes: ClassTable) -> None:
    """Train ids, uint8 (height, width), as PNG in the classes' colours; void is black."""
    _write_map(path, label, [*classes.colours, *[VOID_COLOUR] * (VOID + 1 - len(classes))])


def write_wrong(path: Path, label: np.ndarray, prediction: np.ndarray) -> None:
    """Where the prediction differs from the truth, as PNG: pixels that do not are transparent."""
    marks = np.where(prediction == label, _RIGHT, _WRONG)
    marks[label == VOID] = _VOID
    _write_map(path, marks.astype(np.uint8), [VOID_COLOUR, WRONG_COLOUR, VOID_COLOUR], transparency=_RIGHT)


def _write_map(path: Path, ids: np.ndarray, colours: list[tuple[int, int, int]], **options) -> None:
    ids = resized_ids(ids, shown_size(ids.shape))
    picture = Image.fromarray(np.ascontiguousarray(ids))
    picture.putpalette(bytes(np.uint8(colours).ravel()))
    data = io.BytesIO()
    picture.save(data, "PNG", **options)
    write_bytes(path, data.getvalue())
