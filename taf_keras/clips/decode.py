"""Files and arrays to pixels, with OpenCV."""

from __future__ import annotations

import io
import os
import struct

import cv2
import numpy as np
from PIL import Image

from taf_keras.clips.clip import ClassTable, FilePart, Source
from taf_keras.errors import BadFileError

_MODES = {"P": "a palette", "PA": "a palette", "RGBA": "an alpha channel", "LA": "an alpha channel"}
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}  # the marker and the chunk that end a whole file
# What Pillow meets damaged bytes with; UnidentifiedImageError is an OSError.
_PILLOW_ERRORS = (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError)
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"  # how such files begin
_DEPTH, _COLOUR = 24, 25  # where a PNG has its bit depth and its colour type, 0 for grey
_ORIENTATION = 0x0112  # Exif's tag; 1 is upright
HEAD_BYTES = 1 << 18  # holds a header with a thumbnail and a colour profile
_TAIL_BYTES = 1024  # some cameras write a little behind the end


def read_bytes(source: str | FilePart, begin: int | None = None, end: int | None = None) -> bytes:
    """The bytes [begin:end] of an image file, as in a slice. BadFileError where they cannot be had."""
    try:
        part = source
        if isinstance(source, str):
            part = FilePart(source, source, 0, os.path.getsize(source))
        first, last, _ = slice(begin, end).indices(part.length)
        with open(part.path, "rb") as file:
            file.seek(part.begin + first)
            return file.read(last - first)
    except OSError as error:
        if isinstance(source, str) and os.path.islink(source) and not os.path.exists(source):
            raise BadFileError(source, "is a link to a file that does not exist") from None
        raise BadFileError(source, f"cannot be read: {error.strerror or error}") from None


def _decode(source: str | FilePart, data: bytes, flags: int) -> np.ndarray:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error:  # such as a header that promises more pixels than OpenCV allows
        pixels = None
    if pixels is None:
        raise BadFileError(source, f"is not a readable image ({len(data)} bytes)")
    return pixels


def inspect_image(source: str | FilePart) -> tuple[int, int]:
    """(height, width) of an image file in px, from its first and last bytes alone.

    Raises: BadFileError for a file that is missing, empty, cut short, not an image, or not one that
        reads as 8-bit RGB without loss: grey is fine; palettes, alpha channels, CMYK and 16 bits are not.
        Nor is a camera's note to turn the picture: its label map may have been painted on either view.
    """
    head = read_bytes(source, end=HEAD_BYTES)
    try:
        header = Image.open(io.BytesIO(head))
        orientation = header.getexif().get(_ORIENTATION, 1) if "exif" in header.info else 1
    except _PILLOW_ERRORS:
        raise BadFileError(source, f"is not a readable image{'' if head else ' (0 bytes)'}") from None
    if header.format in _ENDS and _ENDS[header.format] not in read_bytes(source, begin=-_TAIL_BYTES):
        raise BadFileError(source, "is not a readable image: it was cut short")
    deep = header.format == "PNG" and head[_DEPTH] == 16  # Pillow calls such files RGB too
    if deep or header.mode not in ("RGB", "L", "1"):
        found = "16 bits per channel" if deep else _MODES.get(header.mode, f"mode {header.mode}")
        raise BadFileError(source, f"has {found}; frames must be 8-bit RGB")
    if orientation != 1:
        raise BadFileError(source, f"has Exif orientation {orientation}; frames must be stored upright")
    return header.height, header.width


def read_image(source: Source, size: tuple[int, int] | None = None) -> np.ndarray:
    """uint8 RGB image (height, width, 3), resized to `size` (height, width) where that is given.

    Raises: BadFileError for a file that is missing, empty or not an image.
    """
    if not isinstance(source, np.ndarray):
        source = cv2.cvtColor(_decode(source, read_bytes(source), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
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
    pixels = _decode(source, data, cv2.IMREAD_UNCHANGED)
    if data.startswith(_JPEG):
        raise BadFileError(source, "a label map cannot be JPEG, which changes ids: use PNG")
    if data.startswith(_PNG) and data[_COLOUR] == 0 and data[_DEPTH] < 8:  # decoding stretches it to 0–255
        raise BadFileError(source, f"a label map must have one 8-bit channel, not {data[_DEPTH]} bits")
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
