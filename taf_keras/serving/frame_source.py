"""The frames of a video or a camera, in batches as a network takes them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from taf_keras.clips.decode import read_image
from taf_keras.sizes import Size
from taf_keras.video.camera import captured, open_camera
from taf_keras.video.frames import Damaged, Decoded, announced, decode
from taf_keras.video.pyav import INSTALL, pyav

OWN_SIZE = "own"
_ALIKE = 0.02  # aspect ratios that differ by so little are one
_FEW = 10  # frames that may well be alike


@dataclass(frozen=True)
class Selection:
    """Which frames a network sees, and how.

    Attributes:
        batch_size: how many at once.
        every: one of so many.
        frames: how many at most; None is all.
        size: (height, width), px; OWN_SIZE is each frame's own, None as large as `trained`.
        trained: (height, width) of the frames that the network was trained on, px; None where nobody knows.
    """

    batch_size: int = 1
    every: int = 1
    frames: int | None = None
    size: Size | str | None = None
    trained: Size | None = None

    def network_size(self, frame: Size) -> Size:
        """(height, width), px, at which the network sees a frame of this size.

        A network knows things at the size that they had in its training. A frame of another aspect ratio
        keeps its own, and gets as many pixels.

        Example:
            >>> Selection(trained=(96, 128)).network_size((480, 640))
            (96, 128)
            >>> Selection(trained=(96, 128)).network_size((640, 480))
            (128, 96)
        """
        if self.size == OWN_SIZE or (self.size is None and self.trained is None):
            return frame
        if self.size is not None:
            return self.size
        (height, width), (rows, columns) = frame, self.trained
        if abs(height * columns / (width * rows) - 1) <= _ALIKE:
            return self.trained
        factor = math.sqrt(rows * columns / (height * width))
        return max(1, round(factor * height)), max(1, round(factor * width))


class FrameSource:
    """A video's file, or the camera with a number.

    Attributes:
        name: for messages.
        total: how many frames are to come, or an estimate; None where nobody knows.
        rate: of them, frames a second on average.
    Raises: UserError for what is no video, and a camera that does not exist.
    """

    def __init__(self, source: Path | int, selection: Selection):
        self._selection = selection
        if isinstance(source, int):
            camera = open_camera(source)
            self.name = f"camera {source}"
            frames, rate = 0, announced(camera).rate
            self._frames = captured(camera, self._is_wanted)
        else:
            self.name = str(source)
            frames, rate = announced(source)
            self._frames = decode(source, self._is_wanted)
        self._announced, self._decoded, self._damaged = frames, 0, []
        self._last, self._moves = None, False
        self.rate = rate / selection.every
        totals = [selection.frames, -(-frames // selection.every) or None]
        self.total = min((total for total in totals if total), default=None)

    def _is_wanted(self, index: int) -> bool:
        return index % self._selection.every == 0

    def batches(self) -> Iterator[tuple[list[Decoded], np.ndarray]]:
        """(frames, the same as the network sees them: uint8 RGB (batch, height, width, 3)) in their order."""
        frames = islice(self._whole_frames(), self._selection.frames)
        while batch := list(islice(frames, self._selection.batch_size)):
            size = self._selection.network_size(batch[0].image.shape[:2])
            images = [cv2.cvtColor(read_image(f.image, size), cv2.COLOR_BGR2RGB) for f in batch]
            yield batch, np.stack(images)

    def _whole_frames(self) -> Iterator[Decoded]:
        for frame in self._frames:
            self._decoded = frame.index + 1
            if isinstance(frame, Damaged):
                self._damaged.append(frame.index)
            elif frame.image is not None:
                glance = frame.image[::16, ::16].tobytes()
                self._moves |= self._last not in (None, glance)
                self._last = glance
                yield frame

    def damage(self) -> str | None:
        """What was found wrong so far; None where nothing was."""
        if not self._decoded:
            return f"{self.name}: has no frame that can be decoded"
        if not self._moves and self._decoded > _FEW and not pyav():
            return (
                f"{self.name}: all frames show one picture, as OpenCV makes of interlaced video: {INSTALL} "
                "(PyAV) deinterlaces it"
            )
        if not self._damaged:
            return None
        if self._damaged == [self._decoded - 1] and self._decoded <= self._announced:
            return (
                f"{self.name}: is damaged or cut short: of the {self._announced} frames that it announces, "
                f"{self._decoded - 1} could be decoded"
            )
        return f"{self.name}: {len(self._damaged)} frames are damaged, such as frame {self._damaged[0]}"

    def close(self) -> None:
        self._frames.close()
