"""Files and arrays to pixels, with OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

from taf_keras.clips.clip import ClassTable, FilePart, Source
from taf_keras.clips.image_files import (
    JPEG,
    PNG,
    PNG_COLOUR,
    PNG_DEPTH,
    decode_bytes,
    inspect_image,
    read_bytes,
)
from taf_keras.errors import BadFileError


def read_checked_image(source: str | FilePart) -> np.ndarray:
    """uint8 RGB image (height, width, 3) of a file. Raises: BadFileError where training would refuse it."""
    inspect_image(source)
    return read_image(source)


def read_image(source: Source, size: tuple[int, int] | None = None) -> np.ndarray:
    """uint8 RGB image (height, width, 3), resized to `size` (height, width) where that is given.

    A file's picture is turned as its Exif orientation says; an alpha channel is dropped.

    Raises: BadFileError for a file that is missing, empty or not an image.
    """
    if not isinstance(source, np.ndarray):
        source = cv2.cvtColor(decode_bytes(source, read_bytes(source), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    if size is None or source.shape[:2] == tuple(size):
        return source
    shrinks = size[0] * size[1] < source.shape[0] * source.shape[1]
    return cv2.resize(source, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def read_label(source: Source, classes: ClassTable, size: tuple[int, int] | None = None) -> np.ndarray:
    """Train ids, uint8 (height, width), VOID where the pixel does not count.

    Args:
        source: a label map of raw ids (height, width), or where the class table has `raw_colours` an
            RGB picture.
        size: (height, width); resampling takes the nearest pixel, since ids cannot be mixed.
    Raises: BadFileError for a file that is no such map, that cannot hold one without loss, or that has
        ids or colours outside the table.
    """
    raw = source if isinstance(source, np.ndarray) else _decode_label(source)
    coloured = raw.ndim == 3 and raw.shape[2] == 3 and classes.raw_colours is not None
    if raw.dtype != np.uint8 or not (raw.ndim == 2 or coloured):
        raise BadFileError(
            _name(source),
            "a label map must have one 8-bit channel, "
            f"not shape {'x'.join(map(str, raw.shape))} of {raw.dtype}",
        )
    ids = _ids_of_colours(raw, classes) if coloured else classes.lookup[raw]  # (height, width)
    if ids.min() < 0:
        raise BadFileError(_name(source), _unknown(np.unique(raw[ids < 0], axis=0), classes))
    ids = ids.astype(np.uint8)
    if size is None or ids.shape == tuple(size):
        return ids
    return cv2.resize(ids, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def _decode_label(source: str | FilePart) -> np.ndarray:
    data = read_bytes(source)
    pixels = decode_bytes(source, data, cv2.IMREAD_UNCHANGED)
    if data.startswith(JPEG):
        raise BadFileError(source, "a label map cannot be JPEG, which changes ids: use PNG")
    # Decoding stretches less than 8 bits of grey to 0–255.
    if data.startswith(PNG) and data[PNG_COLOUR] == 0 and data[PNG_DEPTH] < 8:
        raise BadFileError(source, f"a label map must have one 8-bit channel, not {data[PNG_DEPTH]} bits")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if pixels.ndim == 3 and pixels.shape[2] == 3 else pixels


def _ids_of_colours(pixels: np.ndarray, classes: ClassTable) -> np.ndarray:
    colours, ids = classes.colour_lookup
    flat = pixels.astype(np.int32) @ np.int32([65536, 256, 1])  # (height, width)
    nearest = np.minimum(np.searchsorted(colours, flat), len(colours) - 1)
    return np.where(colours[nearest] == flat, ids[nearest], np.int16(-1))


def _unknown(values: np.ndarray, classes: ClassTable) -> str:
    if values.ndim == 2:
        colours = ", ".join("/".join(map(str, colour)) for colour in values[:3].tolist())
        return f"label colour {colours} (red/green/blue) is not in the class table"
    allowed = _ranges(np.flatnonzero(classes.lookup >= 0))
    unknown = ", ".join(map(str, values.tolist()))
    return f"label id {unknown} is not in the class table; allowed are {allowed}"


def _name(source: Source) -> str:
    return "label array" if isinstance(source, np.ndarray) else str(source)


def _ranges(values: np.ndarray) -> str:
    """[0, 1, 2, 255] -> '0–2, 255'."""
    runs = np.split(values, np.flatnonzero(np.diff(values) != 1) + 1)
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
