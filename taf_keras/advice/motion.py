"""How much the frames around key frames differ from them: optical flow, colours, classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np

from taf_keras.clips.clip import VOID, Clip, Frame, Split
from taf_keras.clips.decode import read_image, read_label
from taf_keras.clips.subset import evenly_spaced, nearest_distances
from taf_keras.pipeline.propagate import consistent, optical_flow
from taf_keras.sizes import Size

INTERVALS = (1, 5, 15)  # frames at which colours and classes are compared
# px: wider frames are brought to these. Flow at 2048 px takes seconds; and with less detail, more of what
# changes is light.
_FLOW_WIDTH, _COLOUR_WIDTH = 512, 128
_PAIRS = 6  # of neighbours in a clip, beside those of the key frame
_RETURNS_PX = 1.0  # where the flow forth and back ends so near, at the size of the flow, it is believed
NEAR_FRAMES = 5  # over more frames optical flow is not believed
_LEAST_RETURNS = 1 / 3  # of the pixels; textures where fewer return are measured two to ten times too slow

# The stripes into which OpenCV's threads cut a frame change the flow: one thread is the same everywhere.
cv2.setNumThreads(0)


@dataclass(frozen=True)
class Motion:
    """Means over the key frames of a split and the frames around each.

    Attributes:
        split, clips: where it was measured, and on how many clips.
        size: (height, width) of the frames in training, px.
        gap_frames: how many frames neighbours lie apart, the median.
        px_per_frame: mean |flow| between neighbours over their pixels and the frames they lie apart, px.
        returns: share of the pixels where the flow forth and back agrees.
        class_px: {class: px_per_frame of its pixels on key frames}, fastest first.
        light: {interval, frames: mean |ΔRGB|, 0 to 255, at a width of at most 128 px}.
        class_change: {interval, frames: share of the pixels whose class is another}; empty where no two
            labelled frames lie in one clip.
    """

    split: str
    clips: int
    size: Size
    gap_frames: float
    px_per_frame: float
    returns: float
    class_px: dict[str, float]
    light: dict[int, float]
    class_change: dict[int, float]

    @property
    def share_per_frame(self) -> float:
        """`px_per_frame` as a share of the width."""
        return self.px_per_frame / self.size[1]

    @property
    def doubt(self) -> str:
        """Why `px_per_frame` is not believed; empty where it is."""
        if self.gap_frames > NEAR_FRAMES:
            return f"The nearest frames lie {self.gap_frames:g} apart, too far to measure motion between them"
        if self.returns < _LEAST_RETURNS:
            return f"Optical flow returns on {self.returns:.0%} of the pixels, too few to measure motion"
        return ""

    @property
    def light_5(self) -> float:
        """|ΔRGB| at 5 frames, or 4 or 6; NaN where no frames lie so far apart."""
        near = [n for n in (5, 4, 6) if n in self.light]
        return self.light[near[0]] if near else np.nan


@dataclass
class _Seen:
    """What one clip shows."""

    size: Size
    flows: list[tuple[float, float, int]] = field(default_factory=list)  # px a frame, returns, frames apart
    moved: dict[int, tuple[float, int]] = field(default_factory=dict)  # class: px a frame summed, pixels
    light: list[tuple[int, float]] = field(default_factory=list)  # interval, |ΔRGB|
    changed: list[tuple[int, int, int]] = field(default_factory=list)  # interval, pixels changed, known


def measure_motion(
    split: Split, clips: Sequence[Clip], size: Size | None, threads: int = 2, on_progress: Callable = print
) -> Motion:
    """Measures around the key frames of `clips`, which are clips of `split`.

    Args:
        clips: each with a second frame, all frames readable.
        size: (height, width) to which frames are resized, or None.
        on_progress: called as on_progress(done, total) after each clip.
    """
    light = nearest_intervals(n for clip in clips for n in _offsets(clip.frames, clip))
    labelled = nearest_intervals(n for clip in clips for n in _offsets(_with_label(clip), clip))
    seen = []
    with ThreadPoolExecutor(threads) as pool:
        for one in pool.map(lambda clip: _look(clip, split, size, light, labelled), clips):
            seen.append(one)
            on_progress(len(seen), len(clips))
    flows = np.array([flow for one in seen for flow in one.flows])
    classes: dict[int, np.ndarray] = defaultdict(lambda: np.zeros(2))
    for one in seen:
        for index, found in one.moved.items():
            classes[index] += found
    changes = [(n, part / whole) for one in seen for n, part, whole in one.changed if whole]
    px = {split.classes.names[i]: float(sums / pixels) for i, (sums, pixels) in classes.items()}
    return Motion(
        split=split.name,
        clips=len(seen),
        size=seen[0].size,
        gap_frames=float(np.median(flows[:, 2])),
        px_per_frame=float(flows[:, 0].mean()),
        returns=float(flows[:, 1].mean()),
        class_px=dict(sorted(px.items(), key=lambda item: -item[1])),
        light=_means(pair for one in seen for pair in one.light),
        class_change=_means(changes),
    )


def nearest_intervals(offsets: Iterable[int]) -> tuple[int, ...]:
    """Of the distances |n| that occur, those nearest to INTERVALS, ascending, each once."""
    return nearest_distances(INTERVALS, offsets)


def _look(
    clip: Clip, split: Split, size: Size | None, light: Sequence[int], labelled: Sequence[int]
) -> _Seen:
    key = clip.key_frame
    image, label = read_image(key.image, size), read_label(key.label, split.classes, size)
    images = {0: image}  # read once
    found = _Seen(image.shape[:2])

    def at(n: int, frame: Frame) -> np.ndarray:
        if n not in images:
            images[n] = read_image(frame.image, size)
        return images[n]

    offsets = dict(zip(_offsets(clip.frames, clip), clip.frames, strict=True))
    for first, second in _neighbours(sorted(offsets)):
        there = at(first, offsets[first]), at(second, offsets[second])
        # From the key frame, whose labels tell the classes, to either side.
        flow, returns = _flow(*(there[::-1] if second == 0 else there))
        found.flows.append((flow.mean() / (second - first), returns, second - first))
        for index in np.unique(label[label != VOID]).tolist() if 0 in (first, second) else ():
            own = flow[label == index]
            sums, pixels = found.moved.get(index, (0.0, 0))
            found.moved[index] = sums + float(own.sum()) / (second - first), pixels + own.size
    for n, frame in _at_intervals(offsets, light):
        small = (_narrowed(one, _COLOUR_WIDTH) for one in (image, at(n, frame)))
        found.light.append((abs(n), float(cv2.absdiff(*small).mean())))
    for n, frame in _at_intervals(offsets, labelled):
        if frame.label is not None:
            other = read_label(frame.label, split.classes, size)
            known = (label != VOID) & (other != VOID)
            found.changed.append((abs(n), int((label != other)[known].sum()), int(known.sum())))
    return found


def _neighbours(offsets: Sequence[int]) -> list[tuple[int, int]]:
    """Pairs of frames that lie as near as any, evenly over the clip, and those of the key frame first."""
    pairs = list(pairwise(offsets))
    least = min(second - first for first, second in pairs)
    near = [pair for pair in pairs if pair[1] - pair[0] == least]
    return list(dict.fromkeys([pair for pair in pairs if 0 in pair] + evenly_spaced(near, _PAIRS)))


def _flow(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, float]:
    """|flow| from the one to the other, float32 (height, width) in px, and the share that returns."""
    height, width = first.shape[:2]
    first, second = (_narrowed(image, _FLOW_WIDTH) for image in (first, second))
    there = optical_flow(first, second)
    returns = consistent(there, optical_flow(second, first), _RETURNS_PX).mean()
    length = np.linalg.norm(there, axis=-1) * (width / first.shape[1])
    return cv2.resize(length, (width, height), interpolation=cv2.INTER_LINEAR), float(returns)


def _narrowed(image: np.ndarray, most_px: int) -> np.ndarray:
    """The image, at most `most_px` wide."""
    height, width = image.shape[:2]
    if width <= most_px:
        return image
    size = (most_px, max(1, round(height * most_px / width)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _offsets(frames: Iterable[Frame], clip: Clip) -> list[int]:
    return [frame.number - clip.key_number for frame in frames]


def _with_label(clip: Clip) -> Iterator[Frame]:
    return (frame for frame in clip.frames if frame.label is not None)


def _at_intervals(offsets: dict[int, Frame], intervals: Sequence[int]) -> Iterator[tuple[int, Frame]]:
    return ((n, frame) for n, frame in offsets.items() if abs(n) in intervals)


def _means(pairs: Iterable[tuple[int, float]]) -> dict[int, float]:
    values = defaultdict(list)
    for n, value in pairs:
        values[n].append(value)
    return {n: float(np.mean(values[n])) for n in sorted(values)}
