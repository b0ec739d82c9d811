"""Writes a video: H.264 at the frames' own times with PyAV, else MPEG-4 at a constant rate."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from taf_keras.video.pyav import pyav

_TICKS = 90_000  # a second: whole numbers of them are the intervals of all usual rates, 29.97 Hz too
_BT601, _LIMITED = 6, 1  # how BGR becomes YUV, in H.264's numbers
# A free box, which players skip, at the end of every MP4 file that is written here.
_TEXT = b"written by taf_keras"
MARK = struct.pack(">I4s", len(_TEXT) + 8, b"free") + _TEXT


class VideoWriter:
    """An MP4 file that plays once it is closed, at whichever frame.

    Frames of odd sides get one more row or column, the last one again: H.264 shares colours among 2×2 pixels.

    Args:
        path: ends in .mp4; it is overwritten.
        rate: frames a second, where times cannot be kept.
    Raises: OSError where the file cannot be written.
    """

    def __init__(self, path: Path, rate: float):
        self.path, self.rate = path, rate
        self.size, self._begin_ms = None, 0.0
        self._file = None

    def write(self, image: np.ndarray, time_ms: float) -> None:
        """Appends a frame, uint8 BGR (height, width, 3), at its time; the first one's becomes 0."""
        height, width = image.shape[:2]
        if height % 2 or width % 2:
            image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        if self._file is None:
            self.size, self._begin_ms = image.shape[:2], time_ms
            self._file = (_H264 if pyav() else _Mpeg4)(self.path, self.size, self.rate)
        if image.shape[:2] != self.size:  # some videos change it on their way
            image = cv2.resize(image, self.size[::-1], interpolation=cv2.INTER_AREA)
        self._file.write(image, time_ms - self._begin_ms)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            with self.path.open("ab") as file:
                file.write(MARK)


class _H264:
    def __init__(self, path: Path, size, rate: float):
        self.container = pyav().open(f"file:{path}", "w", format="mp4")
        # zerolatency: the encoder keeps no frames back, of which it would hold dozens.
        options = {"preset": "superfast", "tune": "zerolatency", "crf": "20"}
        stream = self.container.add_stream(
            "libx264", rate=Fraction(rate).limit_denominator(1001), options=options
        )
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, _TICKS)
        stream.codec_context.colorspace, stream.codec_context.color_range = _BT601, _LIMITED
        self.stream, self.interval, self.last = stream, round(_TICKS / rate), None

    def write(self, image: np.ndarray, time_ms: float) -> None:
        frame = pyav().VideoFrame.from_ndarray(image, format="bgr24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU601")
        ticks = round(time_ms * _TICKS / 1000)
        if self.last is not None and ticks <= self.last:  # some files do not know their times
            ticks = self.last + self.interval
        frame.pts, frame.time_base, self.last = ticks, Fraction(1, _TICKS), ticks
        self.container.mux(self.stream.encode(frame))

    def close(self) -> None:
        try:
            self.container.mux(self.stream.encode())
        finally:
            self.container.close()


class _Mpeg4:
    def __init__(self, path: Path, size, rate: float):
        # The format has no finer rates.
        self.writer = cv2.VideoWriter(
            f"file:{path}", cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"mp4v"), round(rate, 2), size[::-1]
        )
        if not self.writer.isOpened():
            raise OSError("OpenCV cannot open a video to write")

    def write(self, image: np.ndarray, time_ms: float) -> None:
        self.writer.write(image)

    def close(self) -> None:
        self.writer.release()
