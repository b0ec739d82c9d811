"""Image files: their bytes, and whether they hold a picture as frames must be."""

from __future__ import annotations

import io
import os
import struct

import cv2
import numpy as np
from PIL import Image

from taf_keras.clips.clip import FilePart
from taf_keras.errors import BadFileError

_MODES = {"P": "a palette", "PA": "a palette"}
PNG, JPEG, _TIFF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", (b"II*\0", b"MM\0*")  # how such files begin
_PNG_END, _JPEG_END = b"IEND\xaeB`\x82", b"\xff\xd9"  # the chunk and the marker that end a whole file
_JPEG_SCAN = b"\xff\xda"  # the marker of the first segment with pixels
# What Pillow meets damaged bytes with; UnidentifiedImageError is an OSError.
_PILLOW_ERRORS = (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError)
PNG_DEPTH, PNG_COLOUR = 24, 25  # where a PNG has its bit depth and its colour type, 0 for grey
_ORIENTATION = 0x0112  # Exif's tag; 1 is upright
_ON_ITS_SIDE = (5, 6, 7, 8)  # orientations that exchange height and width
_REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
HEAD_BYTES = 1 << 18  # holds a header with a thumbnail and a colour profile
_TAIL_BYTES = 1024  # some cameras write a little after the end


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


def decode_bytes(source: str | FilePart, data: bytes, flags: int) -> np.ndarray:
    """The pixels as `cv2.imdecode` gives them for `flags`. BadFileError where it cannot."""
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error:  # such as a header that promises more pixels than OpenCV allows
        pixels = None
    if pixels is None:
        raise BadFileError(source, f"is not a readable image ({len(data)} bytes)")
    return pixels


def inspect_image(source: str | FilePart) -> tuple[int, int]:
    """(height, width) of the picture that `read_image` returns, px.

    Of JPEG and PNG, the usual formats of frames, only the first and last bytes are read. Files with an
    alpha channel and those of other formats are decoded.

    Raises: BadFileError for a file that is missing, empty, cut short, not an image, or not one that
        reads as 8-bit RGB without loss: grey is fine, and so is an alpha channel that is the same
        everywhere; palettes, other alpha channels, CMYK and 16 bits are not.
    """
    head = read_bytes(source, end=HEAD_BYTES)
    if not head.startswith((PNG, JPEG)):
        return _inspect_whole(source, read_bytes(source))
    header, tail = pillow_image(source, head), read_bytes(source, begin=-_TAIL_BYTES)
    if _is_cut_short(source, head, tail):
        raise BadFileError(source, "is not a readable image: it was cut short")
    deep = head.startswith(PNG) and head[PNG_DEPTH] == 16  # Pillow calls such files RGB too
    _require_rgb(source, header, "16 bits per channel" if deep else None)
    if head.startswith(PNG) and b"eXIf" in tail:  # after the pixels, where Pillow has not looked
        return _decoded_size(source, read_bytes(source))
    return _shown_size(header)


def _shown_size(header: Image.Image) -> tuple[int, int]:
    """(height, width) once the picture is turned as its Exif orientation says, px."""
    size = header.height, header.width
    return size[::-1] if _orientation(header) in _ON_ITS_SIDE else size


def reduced_colour(source: str | FilePart, data: bytes, size: tuple[int, int]) -> int:
    """OpenCV's flag to decode a colour picture at 1/8, 1/4 or 1/2 of its size, rounded up, or at all of it.

    It is the smallest of these that is not below `size` (height, width). Other files than JPEG have to be
    decoded whole, and are.
    """
    if data.startswith(JPEG):
        height, width = _shown_size(pillow_image(source, data))
        for divisor, flag in _REDUCED.items():
            if -(-height // divisor) >= size[0] and -(-width // divisor) >= size[1]:
                return flag
    return cv2.IMREAD_COLOR


def _inspect_whole(source: str | FilePart, data: bytes) -> tuple[int, int]:
    header = pillow_image(source, data)
    depth = decode_bytes(source, data, cv2.IMREAD_UNCHANGED).dtype
    deep = {np.dtype(np.uint8): None, np.dtype(np.uint16): "16 bits per channel"}
    _require_rgb(source, header, deep.get(depth, f"values of {depth}"))
    orientation = _orientation(header)
    if orientation != 1:  # not every OpenCV turns such files; TIFF's orientation, which all know, is no Exif
        refused = f"has Exif orientation {orientation}; frames must be stored upright in {header.format}"
        raise BadFileError(source, refused)
    return _decoded_size(source, data)


def _decoded_size(source: str | FilePart, data: bytes) -> tuple[int, int]:
    return decode_bytes(source, data, cv2.IMREAD_COLOR).shape[:2]


def pillow_image(source: str | FilePart, data: bytes) -> Image.Image:
    """The image of a file's bytes, or of its first ones, as Pillow sees it. BadFileError where it is none."""
    try:
        return Image.open(io.BytesIO(data))
    except _PILLOW_ERRORS:
        raise BadFileError(source, f"is not a readable image{'' if data else ' (0 bytes)'}") from None


def _is_cut_short(source: str | FilePart, head: bytes, tail: bytes) -> bool:
    if head.startswith(PNG):
        return _PNG_END not in tail
    if _JPEG_END in tail:
        return False
    data = read_bytes(source)  # phones append whole videos; a thumbnail within the header has an end too
    at = 2
    while at < len(data) and not data.startswith(_JPEG_SCAN, at):
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return _JPEG_END not in data[at:]


def _require_rgb(source: str | FilePart, header: Image.Image, depth: str | None) -> None:
    """Raises: BadFileError for a picture that is not 8-bit RGB; `depth` is what is wrong with its depth."""
    found = depth
    if found is None and header.mode in ("RGBA", "LA"):
        found = _varying_alpha(source, header)
    elif found is None and header.mode not in ("RGB", "L", "1"):
        found = _MODES.get(header.mode, f"mode {header.mode}")
    if found is not None:
        raise BadFileError(source, f"has {found}; frames must be 8-bit RGB")


def _varying_alpha(source: str | FilePart, header: Image.Image) -> str | None:
    """What is wrong with the alpha channel; None for one that can be dropped."""
    data = read_bytes(source)
    try:
        lowest, highest = Image.open(io.BytesIO(data)).getchannel("A").getextrema()
    except _PILLOW_ERRORS:
        raise BadFileError(source, f"is not a readable image ({len(data)} bytes)") from None
    if lowest != highest:
        return "an alpha channel that varies"
    # Of TIFF alone, OpenCV returns colours that are multiplied by alpha.
    return "an alpha channel below 255" if data.startswith(_TIFF) and lowest < 255 else None


def _orientation(header: Image.Image) -> int:
    """Exif's orientation, 1 to 8, as OpenCV finds it: not XMP's, and 1 where Exif is damaged."""
    exif = Image.Exif()
    try:
        exif.load(header.info.get("exif", b""))
        orientation = exif.get(_ORIENTATION, 1)
    except _PILLOW_ERRORS:
        return 1
    return orientation if orientation in range(1, 9) else 1
