"""Label maps that an export holds as pictures: which files they are, and what their pixels stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from taf_keras.clips.clip import VOID, ClassTable
from taf_keras.clips.decode import read_label
from taf_keras.clips.image_files import pillow_image, read_bytes
from taf_keras.errors import BadFileError, first_line
from taf_keras.label_formats.export import UNLABELLED, Colour

BLACK = (0, 0, 0)


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


def with_colours(found: Mapping[Path, np.ndarray], table: ClassTable | None) -> set[Path]:
    """Those masks of an export that hold colours.

    Beside them, the grey of a class is its colour where it is no id. Black alone, stored in grey or a
    palette, is a mask without any object, unless others hold ids.

    Args:
        found: the `values` of each mask.
    """
    coloured = {path for path, value in found.items() if value.ndim == 2}
    if not coloured:
        return coloured
    if table and table.raw_colours:
        listed = {BLACK, *table.raw_colours}
        greys = [grey for grey in range(256) if (grey, grey, grey) in listed]
        coloured |= {
            path
            for path, value in found.items()
            if np.isin(value, greys).all() and value.ndim == 1 and (table.lookup[value.astype(int)] < 0).any()
        }
    holds_ids = any(value.any() for path, value in found.items() if path not in coloured)
    return coloured if holds_ids else set(found)


def table_reader(path: Path, table: ClassTable, coloured: bool) -> Callable[[], np.ndarray]:
    """A function that reads a label map as `--classes` says.

    Args:
        coloured: whether it holds colours, and no ids. Then black that is no class's is what nobody has
            labelled.
    """
    ids, colours = table.raw_ids, table.raw_colours
    if coloured and colours:
        ids, colours = None, {BLACK: UNLABELLED, **colours}
    elif colours:
        colours = {colour: VOID if i == UNLABELLED else i for colour, i in colours.items()}
    return reader(path, list(table.names), ids, colours)


def _read(path: Path, table: ClassTable) -> np.ndarray:
    header = _header(path)  # refuses what would fill the memory, which OpenCV takes
    is_without_ids = not table.raw_ids and header.mode in ("1", "L", "P")
    try:
        return read_label(_pixels(path, header, "RGB") if is_without_ids else str(path), table)
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


def _pixels(path: Path, header, mode: str) -> np.ndarray:
    try:
        return np.asarray(header.convert(mode))
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's, of damaged files
        raise BadFileError(path.name, f"is not a readable image: {first_line(error)}") from None


def values(path: Path, table: ClassTable | None = None) -> np.ndarray:
    """The values that occur: ids (count,), or colours (count, 3) of a picture that has others than grey.

    Raises: BadFileError where it has no ids, or its palette's indices and colours tell other classes.
    """
    header = _header(path)
    read = _pixels(path, header, "RGB" if header.mode in ("RGBA", "LA") else header.mode)
    if read.dtype.kind == "f":
        raise BadFileError(path.name, "holds fractions, not ids")
    if header.mode == "P" and table and table.raw_colours:
        indices = np.unique(read)
        colours = _palette(header)[indices]
        if _is_in_colours(indices, colours, table):
            shown = {BLACK: VOID, **table.raw_colours}
            shown = {colour: VOID if i == UNLABELLED else i for colour, i in shown.items()}
            _read(path, replace(table, raw_colours=shown))  # refuses what the indices tell otherwise
            return colours
    if read.ndim == 3 and (read == read[..., :1]).all():
        read = read[..., 0]
    pixels = read.reshape(-1, *read.shape[2:])
    return np.unique(pixels, axis=0 if pixels.ndim == 2 else None)


def _palette(header) -> np.ndarray:
    """uint8 (256, 3): red, green and blue of each index."""
    palette = np.zeros((256, 3), np.uint8)
    colours = np.uint8(header.getpalette("RGB")).reshape(-1, 3)
    palette[: len(colours)] = colours
    return palette


def _is_in_colours(indices: np.ndarray, colours: np.ndarray, table: ClassTable) -> bool:
    """Whether the palette has the classes' colours, and black is not the index of what has no colour.

    A short palette is filled up with black, also at 255, which is void.

    Args:
        indices, colours: those that a picture uses.
    """
    listed = table.raw_colours
    shown = list(map(tuple, colours.tolist()))
    if not any(map(any, shown)) or any(any(colour) and colour not in listed for colour in shown):
        return False
    black = listed.get(BLACK, UNLABELLED)
    by_index = [table.lookup[i] for i, colour in zip(indices, shown, strict=True) if not any(colour)]
    return all(i < 0 or i == black or (i != VOID and i in listed.values()) for i in by_index)


def values_of(
    paths: Iterable[Path], table: ClassTable | None = None
) -> tuple[dict[Path, np.ndarray], list[BadFileError]]:
    """The `values` of each mask, and what is wrong with those that cannot be read."""
    found, errors = {}, []
    for path in paths:
        try:
            found[path] = values(path, table)
        except BadFileError as error:
            errors.append(error)
    return found, errors
