"""A video's frames: decoded in order from the first, counted, and written as image files.

Nothing here seeks, and no frame count of a container is believed: seeks land on a neighbour of the wanted
frame in many files, and counts are estimates. A frame's index is how many frames were decoded before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from taf_keras.clips.decode import read_image
from taf_keras.errors import UserError
from taf_keras.files import reads, write_bytes
from taf_keras.sizes import Size
from taf_keras.video import mp4
from taf_keras.video.deinterlace import deinterlaced, is_interlaced

DEINTERLACE = "ffmpeg -i {} -vf yadif -crf 12 progressive.mp4"  # keeps the number of frames
# AVI knows its number of frames; others, such as .mkv and .ts, tell a duration alone.
_AVI, _MP4 = b"RIFF", (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_MATROSKA, _SOUND = b"\x1a\x45\xdf\xa3", b"A_"  # as the names of its sound's codecs begin
_HEAD = 4096  # bytes of a file in which its tracks are described
_LONGER_SOUND_MS = 1000.0  # by which the sound may outlast the picture
_USUAL_RATE = 25.0  # Hz, of a file or a camera that does not say


class Decoded(NamedTuple):
    """One decoded frame.

    Attributes:
        index: 0-based position in the video.
        time_ms: its presentation time, ms.
        image: uint8 BGR (height, width, 3), as OpenCV has and writes it; None where it was not wanted
            or is damaged.
    """

    index: int
    time_ms: float
    image: np.ndarray | None


class Damaged(Decoded):
    """A frame whose image is None because it is damaged, not because nobody wanted it."""

    __slots__ = ()


class Announced(NamedTuple):
    """What a video says of itself.

    Attributes:
        frames: how many it has, or an estimate; 0 where it does not say.
        rate: frames a second, on average.
    """

    frames: int
    rate: float


def decode(video: Path, wanted: Callable[[int], bool]) -> Iterator[Decoded]:
    """All frames from the first on, with the images of those indices that are `wanted`.

    A file that breaks off often ends in half a picture. So the last frame counts as damaged where the
    container announces more frames than there are. An MP4 may announce too many, for it may show a part of
    them: there a box must be cut, or the last frame come well before the end that the pictures have.

    Raises: UserError for a file that is missing or not a video.
    """
    with reads(video), video.open("rb") as file:
        head = file.read(_HEAD)
        is_mp4 = head[4:8] in _MP4
        is_cut, shown_ms = (mp4.is_cut(file), mp4.shown_ms(file)) if is_mp4 else (False, 0.0)
    is_silent = head[:4] == _MATROSKA and _SOUND not in head
    capture = _opened(video)
    frames, rate = announced(capture)
    if is_interlaced(video):
        capture.release()
        found = deinterlaced(video, wanted)
    else:
        found = _decoded(capture, wanted)
    frame, longest_ms = None, 0.0
    with closing(found):
        for index, (time_ms, image, damaged) in enumerate(found):
            if frame is not None:
                if time_ms < frame.time_ms:  # the last frames of some files have no time
                    time_ms = frame.time_ms + 1000 / rate
                longest_ms = max(longest_ms, time_ms - frame.time_ms)
                yield frame
            frame = (Damaged if damaged else Decoded)(index, time_ms, image)
    if frame is not None:
        breaks_off = frame.index + 1 < frames
        if head[:4] != _AVI:
            # `frames` is the duration times the rate: too many where that varies, or the sound is longer.
            # Of an MP4, whose pictures may begin later than it does, it is the number of those in the file.
            beyond_ms = 1.5 * longest_ms if is_silent else max(1.5 * longest_ms, _LONGER_SOUND_MS)
            breaks_off &= frame.time_ms + beyond_ms < (shown_ms if is_mp4 else 1000 * frames / rate)
        yield Damaged(frame.index, frame.time_ms, None) if breaks_off or is_cut else frame


def _opened(video: Path) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(f"file:{video}", cv2.CAP_FFMPEG)  # a colon in a name would begin a protocol
    if not capture.isOpened():
        raise UserError(f"{video}: is not a readable video ({video.stat().st_size} bytes)")
    return capture


def _decoded(
    capture: cv2.VideoCapture, wanted: Callable[[int], bool]
) -> Iterator[tuple[float, np.ndarray | None, bool]]:
    """(time in ms, image where it is wanted and whole, whether it is damaged) of each frame."""
    try:
        for index in count():
            if not capture.grab():
                return
            is_wanted = wanted(index)
            image = capture.retrieve()[1] if is_wanted else None
            yield capture.get(cv2.CAP_PROP_POS_MSEC), image, is_wanted and image is None
    finally:
        capture.release()


def announced(source: Path | cv2.VideoCapture) -> Announced:
    """Raises: UserError for a file that is not a video."""
    capture = _opened(source) if isinstance(source, Path) else source
    frames, rate = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
    return Announced(max(0, int(frames)), rate if 0 < rate < float("inf") else _USUAL_RATE)


def image_size(video: Path) -> Size:
    """(height, width) of the first frame, px. UserError for a file that is not a video or has no frames."""
    first = next(decode(video, lambda index: True), None)
    if first is None or first.image is None:
        raise UserError(f"{video}: has no frame that can be decoded")
    return first.image.shape[:2]


def irregularity(times_ms: Sequence[float]) -> str | None:
    """A sentence on frames that are not evenly spaced in time; None where all are."""
    intervals = np.diff(times_ms)
    usual = np.median(intervals) if intervals.size else 0.0
    odd = np.abs(intervals - usual) > max(1.5, 0.1 * usual)  # some containers round to whole ms
    if not odd.any():
        return None
    return (
        f"variable frame rate: {odd.sum()} of {odd.size} intervals between frames are not the usual "
        f"{usual:.1f} ms but {intervals[odd].min():.1f} to {intervals[odd].max():.1f} ms; "
        "--temporal_context counts frames, not time"
    )


def save_frames(
    video: Path,
    targets: dict[int, Path],
    size: Size,
    quality: int,
    jobs: int,
    on_progress: Callable[[int, int], None],
) -> None:
    """Writes the frames of the given indices; those that the video does not have stay unwritten.

    One thread decodes, `jobs` threads resize, encode and write. Files appear complete or not at all.

    Args:
        targets: index -> file, whose suffix (.jpg, .png) is the format.
        size: (height, width) of the files, px.
        quality: of JPEG, 1–100.
        on_progress: called with (frames decoded, frames to decode).
    Raises: UserError where a file cannot be written.
    """
    frames = max(targets) + 1
    waiting = deque()
    with ThreadPoolExecutor(jobs) as pool:
        for frame in islice(decode(video, targets.__contains__), frames):
            if frame.image is not None:
                waiting.append(pool.submit(_save, frame.image, targets[frame.index], size, quality))
            if len(waiting) > 2 * jobs:  # decoding may be faster than encoding, and frames are large
                waiting.popleft().result()
            on_progress(frame.index + 1, frames)
        for future in waiting:
            future.result()


def _save(image: np.ndarray, target: Path, size: Size, quality: int) -> None:
    parameters = [cv2.IMWRITE_JPEG_QUALITY, quality] if target.suffix == ".jpg" else []
    _, data = cv2.imencode(target.suffix, read_image(image, size), parameters)
    write_bytes(target, data.tobytes())
