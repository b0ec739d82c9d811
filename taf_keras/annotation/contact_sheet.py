"""A contact sheet: small pictures in rows, each above its caption."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from taf_keras.files import write_bytes

_WIDTH, _TALLEST, _TEXT, _BORDER = 256, 192, 22, 5  # px of a cell: picture, caption, frame
_LEAST_COLUMNS = 5
_GREY, _BRIGHT, _WHITE = (40, 40, 40), (255, 200, 0), (255, 255, 255)


Picture = tuple[np.ndarray, tuple[str, str], bool]  # see `contact_sheet`


def write_contact_sheet(path: Path, pictures: Iterable[Picture], count: int) -> None:
    """Writes a contact sheet as JPEG. Raises: UserError where it cannot be written."""
    sheet = contact_sheet(pictures, count)
    _, data = cv2.imencode(".jpg", sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    write_bytes(path, data.tobytes())


def contact_sheet(pictures: Iterable[Picture], count: int) -> np.ndarray:
    """uint8 RGB sheet of `count` pictures, row by row, in cells of the first one's shape.

    Args:
        pictures: uint8 RGB image (height, width, 3) of every size; the left and the right part of its
            caption; whether it has a bright frame.
    """
    columns = min(max(1, count), max(_LEAST_COLUMNS, math.isqrt(max(0, count - 1)) + 1))
    sheet = np.zeros((1, 1, 3), np.uint8)
    for number, (image, caption, is_bright) in enumerate(pictures):
        if not number:
            tall = min(_TALLEST, round(_WIDTH * image.shape[0] / image.shape[1]))
            height, width = tall + _TEXT + 2 * _BORDER, _WIDTH + 2 * _BORDER
            sheet = np.full((-(-count // columns) * height, columns * width, 3), _GREY, np.uint8)
        row, column = divmod(number, columns)
        cell = sheet[row * height : (row + 1) * height, column * width : (column + 1) * width]
        _draw(cell, tall, image, caption, is_bright)
    return sheet


def small(image: np.ndarray, tall: int = _TALLEST) -> np.ndarray:
    """The image as large as a cell of that height holds it."""
    factor = min(_WIDTH / image.shape[1], tall / image.shape[0])
    size = max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST)


def _draw(cell: np.ndarray, tall: int, image: np.ndarray, caption: tuple[str, str], is_bright: bool) -> None:
    picture = small(image, tall)
    height, width = picture.shape[:2]
    left, top = _BORDER + (_WIDTH - width) // 2, _BORDER + (tall - height) // 2
    if is_bright:
        cell[top - 3 : top + height + 3, left - 3 : left + width + 3] = _BRIGHT
    cell[top : top + height, left : left + width] = picture
    base = cell.shape[0] - _BORDER - 3
    name, time = caption
    time_px = _text_width(time, 0.5)
    scale = 0.5 * min(1.0, (_WIDTH - time_px - 10) / max(1, _text_width(name, 0.5)))
    _write(cell, name, _BORDER, base, scale)
    _write(cell, time, _BORDER + _WIDTH - time_px, base, 0.5)


def _text_width(text: str, scale: float) -> int:
    return cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0]


def _write(cell: np.ndarray, text: str, left: int, base: int, scale: float) -> None:
    pixels = np.ascontiguousarray(cell)
    cv2.putText(pixels, text, (left, base), cv2.FONT_HERSHEY_SIMPLEX, scale, _WHITE, 1, cv2.LINE_AA)
    cell[:] = pixels
