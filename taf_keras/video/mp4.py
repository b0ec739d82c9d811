"""What the boxes of an MP4 tell of its end. A box has its size, then its name, then its content."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_MEDIA = (b"moov", b"moof", b"mdat")  # boxes without which frames are missing


class _Box(NamedTuple):
    """Attributes: begin, end: of its content, bytes from the start of the file."""

    name: bytes
    begin: int
    end: int


def is_cut(mp4: BinaryIO) -> bool:
    """Whether a box of media reaches beyond the end of the file."""
    end = mp4.seek(0, os.SEEK_END)
    return any(box.end > end and box.name in _MEDIA for box in _boxes(mp4, 0, end))


def shown_ms(mp4: BinaryIO) -> float:
    """How long its pictures are to be shown; 0 where it does not say, as one of fragments.

    A track may be shown in part. The duration in its header is that of the part; its number of frames is not.
    """
    end = mp4.seek(0, os.SEEK_END)
    durations, rate = [], 0
    for box in _within(mp4, _Box(b"", 0, end), b"moov"):
        if box.name == b"mvhd":
            rate, _ = _fields(mp4, box, ">12xII", ">20xIQ")
        elif box.name == b"trak":
            inner = {part.name: part for part in _boxes(mp4, box.begin, box.end)}
            kinds = [_read(mp4, part, 8, 4) for part in _within(mp4, box, b"mdia") if part.name == b"hdlr"]
            if kinds == [b"vide"] and b"tkhd" in inner:
                durations += _fields(mp4, inner[b"tkhd"], ">20xI", ">28xQ")
    known = [duration for duration in durations if duration not in (0, 2**32 - 1, 2**64 - 1)]
    # Of several, OpenCV chooses: the shortest is the least that must be there.
    return 1000 * min(known) / rate if known and rate else 0.0


def _boxes(mp4: BinaryIO, at: int, end: int) -> Iterator[_Box]:
    while at + 8 <= end:
        mp4.seek(at)
        size, name, long_size = struct.unpack(">I4sQ", mp4.read(16).ljust(16, b"\0"))
        begin = at + (16 if size == 1 else 8)
        size = {0: end - at, 1: long_size}.get(size, size)  # 0 is all the rest
        if size < 8:
            return  # no box: what follows the boxes of some cameras
        at += size
        yield _Box(name, begin, at)


def _within(mp4: BinaryIO, box: _Box, name: bytes) -> Iterator[_Box]:
    """The boxes in those of a name that `box` holds."""
    for part in _boxes(mp4, box.begin, box.end):
        if part.name == name:
            yield from _boxes(mp4, part.begin, part.end)


def _read(mp4: BinaryIO, box: _Box, at: int, length: int) -> bytes:
    mp4.seek(box.begin + at)
    return mp4.read(length)


def _fields(mp4: BinaryIO, box: _Box, form: str, long_form: str) -> tuple[int, ...]:
    """Of a header, whose version 1 has longer fields."""
    form = long_form if _read(mp4, box, 0, 1) == b"\1" else form
    length = struct.calcsize(form)
    return struct.unpack(form, _read(mp4, box, 0, length).ljust(length, b"\0"))
