"""The frames of a study: key frames, and others of their clips at given intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from taf_keras.clips.bad_files import BadFiles
from taf_keras.clips.clip import Clip, Frame, Split
from taf_keras.clips.decode import read_image, read_label
from taf_keras.clips.subset import evenly_spaced, nearest_distances
from taf_keras.config import DataConfig
from taf_keras.errors import UserError, require
from taf_keras.inspection.check import check_split, load_checked
from taf_keras.pipeline.batches import frames_at_once

INTERVALS = (0, 1, 3, 5, 7, 10, 14)  # frames
_REMEMBERED = 64  # label maps: windows of one video overlap by less


@dataclass(frozen=True, eq=False)
class Footage:
    """Clips with the intervals at which they are studied.

    Attributes:
        image_size: (height, width) in px to which frames are resized, or None.
        intervals: |n| in frames, ascending, 0 first; every one occurs in some clip.
        threads: that read frames.
    """

    split: Split
    image_size: tuple[int, int] | None
    intervals: tuple[int, ...]
    threads: int = 2

    @cached_property
    def batch_size(self) -> int:
        """Frames at once, as in evaluation: the same batches give the same floats."""
        (first,) = self.images([self.split.clips[0].key_frame])
        return frames_at_once(*first.shape[:2])

    def batches(self, on_progress: Callable[[int, int], None] | None = None) -> Iterator[tuple[Clip, ...]]:
        """All clips in order, a few at a time; calls on_progress(clips done, clips in all) after each."""
        clips = self.split.clips
        for begin in range(0, len(clips), self.batch_size):
            batch = clips[begin : begin + self.batch_size]
            yield batch
            if on_progress:
                on_progress(begin + len(batch), len(clips))

    def partners(self, clips: Sequence[Clip], interval: int) -> Iterator[tuple[list[int], list[Frame]]]:
        """The frames `interval` frames after the key frames, then those before them.

        Yields: positions in `clips` of those that have such a frame, and the frames; once for
            interval 0, and nothing for a direction in which no clip has one.
        """
        for offset in (interval, -interval) if interval else (0,):
            found = {i: f for i, clip in enumerate(clips) for f in clip.frames if _offset(clip, f) == offset}
            if found:
                yield list(found), list(found.values())

    def around(self, clip: Clip) -> list[tuple[int, Frame]]:
        """(interval, frame) of the key frame, and then of each frame at an interval before or after it."""
        return [(n, frame) for n in self.intervals for _, (frame,) in self.partners([clip], n)]

    def images(self, frames: Sequence[Frame]) -> np.ndarray:
        """uint8 RGB (frames, height, width, 3)."""
        with ThreadPoolExecutor(self.threads) as pool:
            return np.stack(list(pool.map(lambda frame: read_image(frame.image, self.image_size), frames)))

    def labels(self, frames: Sequence[Frame]) -> np.ndarray:
        """Train ids, uint8 (frames, height, width), of frames that have labels."""
        return np.stack([read_label(f.label, self.split.classes, self.image_size) for f in frames])


class FramePredictions:
    """Label maps that a predictor gives for frames; remembers the last ones.

    Args:
        predict: uint8 RGB (b, height, width, 3) -> train ids (b, height, width).
    """

    def __init__(self, predict, footage: Footage):
        self._predict = predict
        self._footage = footage
        self._known: dict[object, np.ndarray] = {}

    def __call__(self, frames: Sequence[Frame]) -> list[np.ndarray]:
        """uint8 (height, width) of each frame."""
        new = list({f.identity: f for f in frames if f.identity not in self._known}.values())
        size = self._footage.batch_size
        for begin in range(0, len(new), size):
            batch = new[begin : begin + size]
            for frame, ids in zip(batch, self._predict(self._footage.images(batch)), strict=True):
                self._known[frame.identity] = ids.astype(np.uint8)
        maps = [self._known[frame.identity] for frame in frames]
        for identity in list(self._known)[:-_REMEMBERED]:
            del self._known[identity]
        return maps


def load_footage(
    data: DataConfig,
    split: str,
    intervals: Sequence[int] = INTERVALS,
    max_clips: int | None = None,
    threads: int = 2,
) -> Footage:
    """Loads and checks a split with the frames at the intervals nearest to `intervals` that its clips have.

    Synthetic val and test clips, for example, have frames at 3, 7 and 14; CamVid's val split at even ones.

    Args:
        data: frames up to `data.temporal_context` frames from the key frame are taken.
        max_clips: as many clips, evenly spaced; None is all.
    Raises: UserError for bad files, and where intervals are asked for and no clip has a second frame.
    """
    require(max_clips is None or max_clips >= 1, f"--max_clips={max_clips}: must be 1 or more")
    loaded = load_checked(data, split, threads=threads)
    if max_clips is not None:
        loaded = replace(loaded, clips=tuple(evenly_spaced(loaded.clips, max_clips)))
    if not any(intervals):
        return Footage(loaded, data.image_size, (0,), threads)
    loaded = _check_partners(loaded, data, threads)
    offsets = {n for clip in loaded.clips for n in clip.offsets(data.temporal_context)}
    return Footage(loaded, data.image_size, (0, *nearest_distances(intervals, offsets)), threads)


def _check_partners(split: Split, data: DataConfig, threads: int) -> Split:
    """The clips with the frames that can be read; a key frame without others stays, it counts for n = 0."""
    reach = data.temporal_context
    several = tuple(clip for clip in split.clips if clip.offsets(reach) != (0,))
    if not several:
        raise UserError(
            f"split {split.name}: no clip has a second frame within {reach} frames of its key frame, "
            "and this study compares frames of a clip: choose another --split"
        )
    bad = BadFiles(data.on_bad_file)
    checked = check_split(replace(split, clips=several), data.image_size, reach, bad, threads=threads)
    usable = {clip.name: clip for clip in checked.clips}
    alone = {clip.name: replace(clip, frames=(clip.key_frame,)) for clip in split.clips}
    return replace(split, clips=tuple((alone | usable).values()))


def _offset(clip: Clip, frame: Frame) -> int:
    return frame.number - clip.key_number
