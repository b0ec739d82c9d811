"""Files and arrays to pixels, with OpenCV."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from taf_keras.clips.clip import Source
from taf_keras.errors import UserError


def _read(path: str, flags: int) -> np.ndarray:
    try:
        data = np.frombuffer(Path(path).read_bytes(), np.uint8)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    pixels = cv2.imdecode(data, flags) if data.size else None
    if pixels is None:
        raise UserError(f"{path}: is not a readable image ({data.size} bytes)")
    return pixels


def read_image(source: Source, size: tuple[int, int] | None = None) -> np.ndarray:
    """uint8 RGB image (height, width, 3), resized to `size` (height, width) where that is given.

    Raises: UserError naming the file that is missing, empty or not an image.
    """
    if isinstance(source, str):
        source = cv2.cvtColor(_read(source, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    if size is None or source.shape[:2] == tuple(size):
        return source
    shrinks = size[0] * size[1] < source.shape[0] * source.shape[1]
    return cv2.resize(source, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def read_raw_label(source: Source) -> np.ndarray:
    """Raw label ids, uint8 (height, width), of a single-channel 8-bit label map."""
    if not isinstance(source, str):
        return source
    pixels = _read(source, cv2.IMREAD_UNCHANGED)
    if pixels.ndim != 2 or pixels.dtype != np.uint8:
        raise UserError(
            f"{source}: a label map must have one 8-bit channel, "
            f"not shape {'x'.join(map(str, pixels.shape))} of {pixels.dtype}"
        )
    return pixels


def read_label(source: Source, lookup: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
    """Train ids, uint8 (height, width), VOID where the pixel does not count.

    Args:
        lookup: `ClassTable.lookup()`.
        size: (height, width); resampling takes the nearest pixel, since ids cannot be mixed.
    Raises: UserError naming the file and the ids that the table does not allow.
    """
    ids = lookup[read_raw_label(source)]  # (height, width)
    if ids.min() < 0:
        raw = read_raw_label(source)
        unknown = sorted(set(raw[ids < 0].tolist()))
        allowed = np.flatnonzero(lookup >= 0)
        name = source if isinstance(source, str) else "label array"
        raise UserError(
            f"{name}: label id {', '.join(map(str, unknown))} is not in the class table; "
            f"allowed are {_ranges(allowed)}"
        )
    ids = ids.astype(np.uint8)
    if size is None or ids.shape == tuple(size):
        return ids
    return cv2.resize(ids, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def _ranges(values: np.ndarray) -> str:
    """[0, 1, 2, 255] -> '0–2, 255'."""
    runs = np.split(values, np.flatnonzero(np.diff(values) != 1) + 1)
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
