"""Measures of a video's frames by which those worth labelling are chosen: sharpness and difference.

Sharpness is the variance of the Laplacian (Pech-Pacheco et al. 2000) of the grey picture, at most 640 px wide
or high, so that videos of several resolutions compare. Motion blur and a lens out of focus lower it.

Difference is the root mean square difference of two grey pictures of 32×24 px, each brought to mean 0 and
standard deviation 1: √(2 − 2·NCC) of their zero-mean normalised cross-correlation. Brightness and contrast do
not count: 0 for equal pictures, 1.4 for unrelated ones.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from taf_keras.errors import UserError
from taf_keras.video import match
from taf_keras.video.frames import DEINTERLACE, announced, decode
from taf_keras.video.pyav import INSTALL, pyav

_SIDE_PX = 640  # the longer side, for sharpness; smaller pictures are not enlarged
_THUMBNAIL = (32, 24)  # width, height, px: noise and compression are averaged away
FLAT = 8.0  # grey levels: of a lower standard deviation much is noise, which must not be blown up
_MOST = 4096  # frames of a video that are kept: 13 MB of thumbnails


@dataclass(frozen=True, eq=False)
class Measures:
    """Frames of one video in their order.

    Attributes:
        index: int (frames,), how many frames were decoded before each.
        seconds: float (frames,), presentation times.
        sharpness: float (frames,).
        contrast: float (frames,), standard deviations of the grey pictures.
        thumbnails: float32 (frames, 768), each of mean 0 and standard deviation 1.
    """

    index: np.ndarray
    seconds: np.ndarray
    sharpness: np.ndarray
    contrast: np.ndarray
    thumbnails: np.ndarray

    def __len__(self) -> int:
        return len(self.index)


def sharpness(grey: np.ndarray) -> float:
    """The variance of the Laplacian of a uint8 picture (height, width), at most 640 px wide or high."""
    factor = min(1.0, _SIDE_PX / max(grey.shape))
    small = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(small, cv2.CV_32F).var())


def thumbnail(grey: np.ndarray) -> np.ndarray:
    """float32 (768,) of mean 0 and standard deviation 1, or lower for a picture next to even."""
    return match.thumbnail(grey, _THUMBNAIL, FLAT).ravel()


def differences(thumbnails: np.ndarray, other: np.ndarray) -> np.ndarray:
    """float (n,): those of thumbnails (n, 768) from one other."""
    return np.sqrt(np.square(thumbnails - other).mean(axis=1))


def measure(
    video: Path,
    known: Set[int],
    every: int,
    seconds: tuple[float, float],
    on_progress: Callable[[int, int], None],
) -> tuple[Measures, Measures]:
    """Looks at a video's frames, in memory that does not grow with its length.

    Of a long video, one in so many frames is kept: the sharpest of as many in a row.

    Args:
        known: indices of frames that are measured in any case, wherever the video is that long.
        every: each Nth frame is looked at.
        seconds: [begin, end) of the part of the video that is looked at.
        on_progress: called with (frames decoded, frames that the container announces).
    Returns: the frames that can be chosen, and the known ones, which cannot.
    Raises: UserError for a file that is not a video, a part without frames, and where OpenCV alone gives
        one picture for all frames.
    """
    kept, there, looked, block, last = [], [], 0, 1, 0.0
    total = max(1, announced(video).frames)  # a promise, for the estimate of the time left alone
    end_of_known = max(known, default=-1)
    pictures = set()  # up to two
    for frame in decode(video, lambda index: index % every == 0 or index in known):
        on_progress(min(frame.index + 1, total - 1), total)
        last = frame.time_ms / 1000
        if last >= seconds[1] and frame.index > end_of_known:
            break
        if frame.image is None or not (frame.index in known or seconds[0] <= last < seconds[1]):
            continue
        grey = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
        row = (frame.index, last, sharpness(grey), float(grey.std()), thumbnail(grey))
        looked += 1
        if len(pictures) < 2:
            pictures.add(grey.tobytes())
        if frame.index in known:
            there.append(row)
            continue
        if kept and kept[-1][0] // (block * every) == frame.index // (block * every):
            kept[-1] = max(kept[-1], row, key=lambda one: one[2])
        else:
            kept.append(row)
        if len(kept) > _MOST:
            block *= 2
            kept = _sharpest_of_blocks(kept, block * every)
    on_progress(total, total)
    if not looked:
        begin, end = (f"{bound:g}" if math.isfinite(bound) else "" for bound in seconds)
        raise UserError(
            f"{video}: no frame in --seconds={begin}-{end} can be decoded; it ends at {last:.1f} s"
        )
    if looked > 1 and len(pictures) == 1 and not pyav():  # with it, such a video is deinterlaced
        command = DEINTERLACE.format(shlex.quote(str(video)))
        raise UserError(
            f"{video}: one picture is decoded for all {looked} frames looked at, as OpenCV does of "
            f"interlaced video: {INSTALL} (PyAV) decodes it, or deinterlace it first, {command}"
        )
    return _table(kept), _table(there)


def _sharpest_of_blocks(rows: list[tuple], block: int) -> list[tuple]:
    best = {}
    for row in rows:
        best[row[0] // block] = max(best.get(row[0] // block, row), row, key=lambda one: one[2])
    return list(best.values())


def _table(rows: list[tuple]) -> Measures:
    index, *numbers, thumbnails = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    pixels = np.array(thumbnails, np.float32).reshape(len(rows), math.prod(_THUMBNAIL))
    return Measures(np.array(index, int), *(np.array(column, float) for column in numbers), pixels)
