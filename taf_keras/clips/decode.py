"""Files and arrays to pixels, with OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

from taf_keras.clips.clip import VOID, ClassTable, FilePart, Source
from taf_keras.clips.image_files import (
    JPEG,
    PNG,
    PNG_COLOUR,
    PNG_DEPTH,
    decode_bytes,
    inspect_image,
    pillow_image,
    read_bytes,
    reduced_colour,
)
from taf_keras.errors import BadFileError, UserError


def read_checked_image(source: str | FilePart) -> np.ndarray:
    """uint8 RGB image (height, width, 3) of a file. Raises: BadFileError where training would refuse it."""
    inspect_image(source)
    return read_image(source)


def read_image(source: Source, size: tuple[int, int] | None = None, reduced: bool = False) -> np.ndarray:
    """uint8 RGB image (height, width, 3), resized to `size` (height, width) where that is given.

    A file's picture is turned as its Exif orientation says; an alpha channel is dropped.

    Args:
        reduced: decode a JPEG file at 1/8, 1/4 or 1/2 of its size where that is not below `size`. It is
            quicker. Pixels differ a little from those of the whole picture; what they show is off by less
            than one of them.
    Raises: BadFileError for a file that is missing, empty or not an image; UserError for another array.
    """
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or source.ndim != 3 or source.shape[2] != 3:
            raise UserError(
                f"an array of a frame must be uint8 RGB (height, width, 3), not {source.dtype} {source.shape}"
            )
    else:
        data = read_bytes(source)
        flag = reduced_colour(source, data, size) if reduced and size else cv2.IMREAD_COLOR
        source = cv2.cvtColor(decode_bytes(source, data, flag), cv2.COLOR_BGR2RGB)
    if size is None or source.shape[:2] == tuple(size):
        return source
    shrinks = size[0] * size[1] < source.shape[0] * source.shape[1]
    return cv2.resize(source, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def read_label(source: Source, classes: ClassTable, size: tuple[int, int] | None = None) -> np.ndarray:
    """Train ids, uint8 (height, width), VOID where the pixel does not count.

    Args:
        source: a label map of raw ids (height, width), or where the class table has `raw_colours` an
            RGB picture. The ids of a file with a palette are its indices, or the classes of its colours.
        size: (height, width); resampling takes the nearest pixel, since ids cannot be mixed.
    Raises: BadFileError for a file that is no such map, that cannot hold one without loss, or that has
        ids or colours outside the table.
    """
    raw, palette = (source, None) if isinstance(source, np.ndarray) else _decode_label(source)
    coloured = raw.ndim == 3 and raw.shape[2] == 3
    if raw.dtype != np.uint8 or not (raw.ndim == 2 or coloured):
        raise BadFileError(
            _name(source),
            "a label map must have one 8-bit channel, or the classes' colours, "
            f"not shape {'x'.join(map(str, raw.shape))} of {raw.dtype}",
        )
    if coloured:
        ids, raw = _ids_of_picture(raw, classes)
    elif palette is not None:
        ids = _ids_of_palette(raw, palette, classes, source)
    else:
        ids = cv2.LUT(raw, classes.lookup)  # (height, width); indexing takes ten times as long
    if ids.min() < 0:
        raise BadFileError(_name(source), _unknown(np.unique(raw[ids < 0], axis=0), classes))
    ids = ids.astype(np.uint8)
    return ids if size is None else resized_ids(ids, size)


def resized_ids(ids: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 (height, width) of `size`, those of the nearest pixels: ids cannot be mixed."""
    if ids.shape == tuple(size):
        return ids
    return cv2.resize(ids, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def _decode_label(source: str | FilePart) -> tuple[np.ndarray, np.ndarray | None]:
    """The values of a file; of one with a palette the indices, and uint8 RGB (256, 3) of each."""
    data = read_bytes(source)
    pixels = decode_bytes(source, data, cv2.IMREAD_UNCHANGED)
    if data.startswith(JPEG):
        raise BadFileError(source, "a label map cannot be JPEG, which changes ids: use PNG")
    image = pillow_image(source, data)
    if image.mode == "P":  # which OpenCV resolves to colours
        palette = np.zeros((256, 3), np.uint8)
        colours = np.uint8(image.getpalette("RGB")).reshape(-1, 3)
        palette[: len(colours)] = colours
        return np.asarray(image), palette
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8), None
    if data.startswith(PNG) and data[PNG_COLOUR] == 0 and (depth := data[PNG_DEPTH]) < 8:
        pixels //= 255 // (2**depth - 1)  # decoding stretches fewer bits of grey to 0–255
    if pixels.ndim == 3 and pixels.shape[2] == 4 and (pixels[..., 3] == 255).all():
        pixels = pixels[..., :3]
    return pixels[..., ::-1] if pixels.ndim == 3 and pixels.shape[2] == 3 else pixels, None


def _ids_of_picture(pixels: np.ndarray, classes: ClassTable) -> tuple[np.ndarray, np.ndarray]:
    """Ids of RGB, and what they were read of: the colours, or the grey of a picture that has nothing else."""
    ids = _ids_of_colours(pixels, classes)
    if ids.min() < 0 and (pixels == pixels[..., :1]).all():
        grey = classes.lookup[pixels[..., 0]]
        if grey.min() >= 0 or not classes.raw_colours:
            return grey, pixels[..., 0]
    return ids, pixels


def _ids_of_palette(
    indices: np.ndarray, palette: np.ndarray, classes: ClassTable, source: str | FilePart
) -> np.ndarray:
    """Ids of a file with a palette: those of its indices, or where they are none, of its colours.

    Raises: BadFileError where both are allowed, and differ.
    """
    used = np.unique(indices)
    by_index, by_colour = classes.lookup, _ids_of_colours(palette[None], classes)[0]
    if by_colour[used].min() < 0:
        return by_index[indices]
    differs = by_index[used] != by_colour[used]
    if by_index[used].min() >= 0 and differs.any():
        at = used[differs][0]
        colour = "/".join(map(str, palette[at].tolist()))
        raise BadFileError(
            source,
            f"has a palette in which index {at} has the colour {colour}: by its index that is "
            f"{_class(by_index[at], classes)}, by its colour {_class(by_colour[at], classes)}; give the "
            "classes other colours, or the same order",
        )
    return by_colour[indices]


def _class(train_id: int, classes: ClassTable) -> str:
    return "void" if train_id == VOID else classes.names[train_id]


def _ids_of_colours(pixels: np.ndarray, classes: ClassTable) -> np.ndarray:
    """int16 (height, width) of uint8 RGB; -1 for a colour that is not in the table."""
    colours, ids = classes.colour_lookup
    if not len(colours):
        return np.full(pixels.shape[:2], -1, np.int16)
    flat = pixels.astype(np.int32) @ np.int32([65536, 256, 1])  # (height, width)
    nearest = np.minimum(np.searchsorted(colours, flat), len(colours) - 1)
    return np.where(colours[nearest] == flat, ids[nearest], np.int16(-1))


def _unknown(values: np.ndarray, classes: ClassTable) -> str:
    if values.ndim == 2:
        colours = ", ".join("/".join(map(str, colour)) for colour in values[:3].tolist())
        text = f"label colour {colours} (red/green/blue) is not in the class table"
        if (values == 0).all(axis=1).any():
            text += '; black is void with "void": [[0, 0, 0]], or has a class with this colour'
        return text
    allowed = _ranges(np.flatnonzero(classes.lookup >= 0))
    unknown = ", ".join(map(str, values.tolist()))
    text = f"label id {unknown} is not in the class table; allowed are {allowed}"
    if values.tolist() == [len(classes)] and classes.lookup[0] == 0:
        text += '; if ids begin at 1, say "void": 0 in classes.json'
    return text


def _name(source: Source) -> str:
    return "label array" if isinstance(source, np.ndarray) else str(source)


def _ranges(values: np.ndarray) -> str:
    """[0, 1, 2, 255] -> '0–2, 255'."""
    runs = np.split(values, np.flatnonzero(np.diff(values) != 1) + 1)
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
