"""Segments a video, or what a camera sees: frames are read, segmented and written at the same time."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import closing

from taf_keras.errors import Interrupted
from taf_keras.progress import Progress
from taf_keras.serving.ahead import behind, made_ahead
from taf_keras.serving.frame_source import FrameSource
from taf_keras.serving.smooth import Majority
from taf_keras.serving.video_results import VideoResults


def predict_video(source: FrameSource, results: VideoResults, predict: Callable, smooth: int = 1) -> None:
    """Writes the results of a video.

    Memory holds few frames at any time: two batches to come, one in the network, two that wait to be written.

    Args:
        predict: uint8 RGB (batch, height, width, 3) -> train ids, uint8 (batch, height, width).
        smooth: how many label maps vote on each pixel's class.
    Raises: Interrupted, whose message says what is written.
    """
    majority, speed = Majority(smooth), _Speed()
    try:
        with (
            results,
            closing(source),
            closing(source.batches()) as read,
            closing(made_ahead(read)) as batches,
            behind() as write,
            Progress(source.name) as progress,
        ):
            for frames, images in batches:
                write(results.write, frames, [majority(labels) for labels in predict(images)])
                speed.add(len(frames))
                if source.total:  # else there is no end to estimate
                    progress(speed.frames, max(source.total, speed.frames + 1), speed.text)
            if source.total and speed.frames:
                progress(speed.frames, speed.frames, speed.text)
    except KeyboardInterrupt as stop:
        number = getattr(stop, "signal", signal.SIGINT)
        raise Interrupted(number, f"interrupted: {results.summary()}") from None


class _Speed:
    """Frames a second, less the first batch: a runtime gets ready in it."""

    def __init__(self):
        self.frames = self.first = 0
        self.begin = self.now = 0.0

    def add(self, frames: int) -> None:
        self.now = time.monotonic()
        if not self.frames:
            self.first, self.begin = frames, self.now
        self.frames += frames

    def text(self) -> str:
        seconds = self.now - self.begin
        return f"{(self.frames - self.first) / seconds:.3g} fps" if seconds else ""
