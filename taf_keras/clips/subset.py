"""Fewer clips, fewer labels, or more: what is kept of a training split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from taf_keras.clips.clip import Clip, Frame, Split


def keep_clips(split: Split, share: float, seed: int = 0) -> Split:
    """A random `share` of the clips, in their order. CS-0.2 and CS-0.5 of the paper are such subsets.

    A clip that is left out takes its key frame along: it does not serve others as a partner either.
    """
    count = max(1, round(share * len(split.clips)))
    chosen = np.sort(np.random.default_rng([seed, len(split.clips)]).permutation(len(split.clips))[:count])
    kept = [split.clips[i] for i in chosen]
    dropped = _dropped(split, kept)
    return replace(split, clips=tuple(_without(clip, dropped) for clip in kept))


def keep_labels(split: Split, share: float, seed: int = 0) -> Split:
    """A `share` of the labels, evenly spaced along the clips from a random first one.

    Clips without a label are no clips, but their key frames stay in the clips of their neighbours, without
    the label: `label_every_frame` does not bring it back.
    """
    total = len(split.clips)
    count = max(1, round(share * total))
    phase = np.random.default_rng([seed, total]).integers(total)
    chosen = sorted((np.arange(count) * total // count + phase) % total)
    kept = [split.clips[i] for i in chosen]
    dropped = _dropped(split, kept)
    return replace(split, clips=tuple(_unlabelled(clip, dropped) for clip in kept))


def label_every_frame(split: Split) -> Split:
    """One clip for each labelled frame: the upper bound that a method with fewer labels compares with.

    Windows of a video may overlap: a labelled frame becomes one key frame, in whichever and however many it
    lies. One that is a key frame already keeps its clip; the others get all frames of the video's clips.
    """
    videos: dict[str, list[Clip]] = defaultdict(list)
    for clip in split.clips:
        videos[clip.video or clip.name].append(clip)
    clips = []
    for name, overlapping in videos.items():
        frames = _merged(overlapping)
        own = {clip.key_number: clip for clip in overlapping if clip.video}
        for number in (frame.number for frame in frames if frame.label is not None):
            clips.append(own.get(number) or Clip(f"{name}/{number}", frames, number, overlapping[0].video))
    return replace(split, clips=tuple(clips))


def _merged(clips: Iterable[Clip]) -> tuple[Frame, ...]:
    """The frames of all clips of one video, ascending."""
    frames = {frame.number: frame for clip in clips for frame in clip.frames}
    return tuple(frames[number] for number in sorted(frames))


def _dropped(split: Split, kept: Iterable[Clip]) -> set:
    """Identities of the key frames of the clips that are not kept."""
    return {clip.key_frame.identity for clip in split.clips} - {clip.key_frame.identity for clip in kept}


def _without(clip: Clip, dropped: set) -> Clip:
    frames = tuple(f for f in clip.frames if f.identity not in dropped)
    return replace(clip, frames=frames) if len(frames) < len(clip.frames) else clip


def _unlabelled(clip: Clip, dropped: set) -> Clip:
    if not any(f.identity in dropped for f in clip.frames):
        return clip
    frames = tuple(replace(f, label=None) if f.identity in dropped else f for f in clip.frames)
    return replace(clip, frames=frames)
