"""Whether the key frames of one split show places that another split shows too, by their colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from taf_keras.clips.clip import Clip
from taf_keras.clips.decode import read_image

SAME, NEW = "same", "new"
_SIZE = (96, 128)  # px: colours need no more
_BINS = (4, 8, 8)  # lightness, which sun and shade change, in few bins; green–red and blue–yellow in more
_RANGES = (0, 256, 64, 192, 64, 192)  # of OpenCV's Lab; frames have no colours beyond
_LEAST_TRAIN, _LEAST_VAL = 10, 5  # key frames
# Tried on splits of 140 clips of 20 racing tracks, with 5 to 20 tracks and 1 to 7 clips of each in train. For
# val clips of the same tracks the ratio was below 0.56 in 19 of 20 splits, for others above 0.54.
_SAME_BELOW, _NEW_ABOVE = 0.5, 0.6
_FARTHER = 0.8  # probability that a val frame lies farther from train than train's clips from one another


@dataclass(frozen=True)
class Places:
    """How far key frames lie from one another: Hellinger distances of colour histograms, 0 to √2.

    Attributes:
        verdict: SAME, NEW, or None where it cannot be told.
        reason: of the verdict, a sentence.
        val, train: median distance of a key frame to the nearest one of train; for those of train to the
            nearest of another video. NaN where it could not be measured, as below.
        clips: median distance of key frames of different videos of train.
        within: median distance of a key frame to the farthest frame of its clip.
        farther: probability that the first of `val` is larger than one of `train`.
    """

    verdict: str | None
    reason: str
    val: float = np.nan
    train: float = np.nan
    clips: float = np.nan
    within: float = np.nan
    farther: float = np.nan


def compare_places(
    train: Sequence[Clip], val: Sequence[Clip], threads: int = 2, on_progress: Callable = print
) -> Places:
    """Compares the key frames of two splits.

    Clips of one video show one place. Others do if their key frames lie as near to each other as frames of
    few places do: far nearer than clips of different videos.

    Args:
        on_progress: called as on_progress(done, total) after each key frame.
    """
    if not val:
        return Places(None, "there is no val split")
    videos = np.array([clip.source_video for clip in train])
    frames = [clip.key_frame for clip in (*train, *val)] + [_farthest(clip) for clip in train]
    histograms = []
    with ThreadPoolExecutor(threads) as pool:
        for one in pool.map(lambda frame: colours(read_image(frame.image, _SIZE)), frames):
            histograms.append(one)
            on_progress(len(histograms), len(frames))
    keys, other, ends = np.split(np.stack(histograms), [len(train), len(train) + len(val)])
    strangers = videos[:, None] != videos
    between = np.where(strangers, _distances(keys, keys), np.inf)
    to_train = _distances(other, keys).min(axis=1)
    among = between.min(axis=1)[strangers.any(axis=1)]
    lengths = np.linalg.norm(keys - ends, axis=1)[[len(clip.frames) > 1 for clip in train]]
    found = {
        "val": _median(to_train),
        "train": _median(among),
        "clips": _median(between[strangers]),
        "within": _median(lengths),
        "farther": float(_exceeds(to_train, among)) if len(among) else np.nan,
    }
    shared = sorted({clip.source_video for clip in val} & set(videos))
    return Places(*_verdict(shared, len(train), len(val), **found), **found)


def colours(image: np.ndarray) -> np.ndarray:
    """Square roots of the shares of an image's pixels in bins of Lab colour, float32 (256,)."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    counts = cv2.calcHist([lab], [0, 1, 2], None, list(_BINS), list(_RANGES)).ravel()
    return np.sqrt(counts / max(1.0, counts.sum()))


def _verdict(
    shared: Sequence[str], in_train: int, in_val: int, *, val, train, clips, within, farther
) -> tuple[str | None, str]:
    if shared:
        return SAME, f"val has frames of train's own videos ({', '.join(shared[:3])})"
    if in_train < _LEAST_TRAIN or in_val < _LEAST_VAL or np.isnan(clips):
        return None, f"{in_train} and {in_val} key frames of train and val are too few, or all of one video"
    if within > _SAME_BELOW * clips:
        return None, "colours change as much within a clip as from clip to clip"
    ratio = val / clips
    how = f"by colour, val lies {ratio:.2f} × as far from train as its videos from one another"
    if ratio <= _SAME_BELOW and farther < _FARTHER:
        return SAME, how
    if ratio >= _NEW_ABOVE or (ratio > _SAME_BELOW and farther >= _FARTHER):
        return NEW, how
    return None, f"{how}: between the two"


def _farthest(clip: Clip):
    return max(clip.frames, key=lambda frame: abs(frame.number - clip.key_number))


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Euclidean, (len(first), len(second)), of rows of length 1."""
    return np.sqrt(np.maximum(0, 2 - 2 * first @ second.T))


def _exceeds(first: np.ndarray, second: np.ndarray) -> float:
    """The probability that one of the first is larger than one of the second; ties count half."""
    return (first[:, None] > second).mean() + (first[:, None] == second).mean() / 2


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else np.nan
