"""Fewer clips, fewer labels, or more: what is kept of a training split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from taf_keras.clips.clip import Clip, Split


def keep_clips(split: Split, share: float, seed: int = 0) -> Split:
    """A random `share` of the clips, in their order. CS-0.2 and CS-0.5 of the paper are such subsets.

    A clip that is left out takes its key frame along: it does not serve others as a partner either.
    """
    count = max(1, round(share * len(split.clips)))
    chosen = np.sort(np.random.default_rng([seed, len(split.clips)]).permutation(len(split.clips))[:count])
    kept = [split.clips[i] for i in chosen]
    dropped = {clip.key_frame.identity for clip in split.clips} - {c.key_frame.identity for c in kept}
    return replace(split, clips=tuple(_without(clip, dropped) for clip in kept))


def keep_labels(split: Split, share: float, seed: int = 0) -> Split:
    """A `share` of the labels, evenly spaced along the clips from a random first one.

    Clips without a label are no clips, but their key frames stay in the clips of their neighbours.
    """
    total = len(split.clips)
    count = max(1, round(share * total))
    phase = np.random.default_rng([seed, total]).integers(total)
    chosen = sorted((np.arange(count) * total // count + phase) % total)
    return replace(split, clips=tuple(split.clips[i] for i in chosen))


def label_every_frame(split: Split) -> Split:
    """One clip for each labelled frame: the upper bound that a method with fewer labels compares with."""
    clips = []
    for clip in split.clips:
        for frame in clip.frames:
            if frame.label is not None:
                clips.append(Clip(f"{clip.name}/{frame.number}", clip.frames, frame.number, clip.video))
    return replace(split, clips=tuple(clips))


def _without(clip: Clip, dropped: set) -> Clip:
    frames = tuple(f for f in clip.frames if f.identity not in dropped)
    return replace(clip, frames=frames) if len(frames) < len(clip.frames) else clip
