"""Fewer clips, fewer labels, or more: what is kept of a training split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from taf_keras.clips.clip import Clip, Frame, Split


def evenly_spaced(items: Sequence, most: int) -> list:
    """At most so many of the items, evenly over all of them: the first and, of two or more, the last."""
    chosen = np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)
    return [items[i] for i in chosen]


def nearest_distances(wanted: Sequence[int], offsets: Iterable[int]) -> tuple[int, ...]:
    """Of the distances |n| above 0 that occur, those nearest to the wanted ones, ascending, each once."""
    there = {abs(n) for n in offsets if n}
    return tuple(sorted({min(there, key=lambda n: (abs(n - w), n)) for w in wanted if w and there}))


def keep_clips(split: Split, share: float, seed: int = 0) -> Split:
    """A random `share` of the clips, in their order. CS-0.2 and CS-0.5 of the paper are such subsets.

    A clip that is left out takes its key frame along: it does not serve others as a partner either.
    """
    total = len(split.clips)
    order = np.random.default_rng([seed, total]).permutation(total)
    kept, dropped = _kept(split, sorted(order[: max(1, round(share * total))]))

    def clip(whole: Clip) -> Clip:
        return replace(whole, frames=tuple(f for f in whole.frames if f.identity not in dropped))

    return replace(split, clips=tuple(map(clip, kept)))


def keep_labels(split: Split, share: float, seed: int = 0) -> Split:
    """A `share` of the labels, evenly spaced along the clips from a random first one.

    Clips without a label are no clips, but their key frames stay in the clips of their neighbours, without
    the label: `label_every_frame` does not bring it back.
    """
    total = len(split.clips)
    count = max(1, round(share * total))
    phase = np.random.default_rng([seed, total]).integers(total)
    kept, dropped = _kept(split, sorted((np.arange(count) * total // count + phase) % total))

    def frame(whole: Frame) -> Frame:
        return replace(whole, label=None) if whole.identity in dropped else whole

    return replace(split, clips=tuple(replace(clip, frames=tuple(map(frame, clip.frames))) for clip in kept))


def label_every_frame(split: Split) -> Split:
    """One clip for each labelled frame: the upper bound that a method with fewer labels compares with.

    Windows of a video may overlap: a labelled frame becomes one key frame, in whichever and however many it
    lies. One that is a key frame already keeps its clip; the others get all frames of the video's clips.
    """
    videos: dict[str, list[Clip]] = defaultdict(list)
    for clip in split.clips:
        videos[clip.source_video].append(clip)
    clips = []
    for name, overlapping in videos.items():
        frames = {frame.number: frame for clip in overlapping for frame in clip.frames}
        merged = tuple(frames[number] for number in sorted(frames))
        own = {clip.key_number: clip for clip in overlapping if clip.video}
        for number in (frame.number for frame in merged if frame.label is not None):
            clips.append(own.get(number) or Clip(f"{name}/{number}", merged, number, overlapping[0].video))
    return replace(split, clips=tuple(clips))


def _kept(split: Split, chosen: Sequence[int]) -> tuple[list[Clip], set]:
    """The chosen clips; and the identities of the key frames of the others."""
    kept = [split.clips[i] for i in chosen]
    return kept, {c.key_frame.identity for c in split.clips} - {c.key_frame.identity for c in kept}
