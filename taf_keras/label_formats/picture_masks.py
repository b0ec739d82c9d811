"""Label maps that an export holds as pictures: which files they are, and what their pixels stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from taf_keras.clips.clip import ClassTable
from taf_keras.clips.decode import read_label
from taf_keras.clips.image_files import pillow_image, read_bytes
from taf_keras.errors import BadFileError
from taf_keras.label_formats.export import Colour


def reader(
    path: Path,
    names: list[str],
    ids: Mapping[int, int] | None = None,
    colours: Mapping[Colour, int] | None = None,
) -> Callable[[], np.ndarray]:
    """A function that reads a label map.

    Args:
        names: the classes', for messages.
        ids: value of a pixel (grey, index of a palette, 0 or 1) -> position of a class, UNLABELLED or VOID.
        colours: the same for (red, green, blue).
    """
    table = ClassTable(tuple(names), ((0, 0, 0),) * len(names), dict(ids or {}), dict(colours or {}) or None)
    return partial(_read, path, table)


def _read(path: Path, table: ClassTable) -> np.ndarray:
    _header(path)  # refuses what would fill the memory, which OpenCV takes
    try:
        return read_label(str(path), table)
    except BadFileError as error:
        raise BadFileError(path.name, error.reason) from None


def mode(path: Path) -> str:
    """How Pillow calls the kind of a picture: L is grey, P has a palette, 1 is black and white."""
    return _header(path).mode


def _header(path: Path):
    try:
        return pillow_image(str(path), read_bytes(str(path)))
    except BadFileError as error:
        raise BadFileError(path.name, error.reason) from None


def values(path: Path) -> np.ndarray:
    """The values that occur: ids (count,), or colours (count, 3) of a picture that has others than grey."""
    read = np.asarray(_header(path).convert("RGB") if mode(path) in ("RGBA", "LA") else _header(path))
    if read.ndim == 3 and (read == read[..., :1]).all():
        read = read[..., 0]
    pixels = read.reshape(-1, *read.shape[2:])
    return np.unique(pixels, axis=0 if pixels.ndim == 2 else None)
