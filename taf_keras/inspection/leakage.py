"""Finds what one split shows of the key frames on which another is measured."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from operator import attrgetter

from taf_keras.clips.clip import Clip, FilePart, Frame, Source, Split
from taf_keras.inspection.look import Looks

# How a key frame of one split is seen in another, from bad to harmless.
KEY, PARTNER, NEAR = "key frame", "partner", "near"

_Pair = tuple[Clip, Frame]  # a clip and one of its frames


@dataclass(frozen=True)
class Leak:
    """A key frame of `of` that is seen in another split, `into`.

    Attributes:
        how: KEY, the same frame is a key frame there; PARTNER, it may be sampled there as a partner; NEAR, it
            lies within the temporal context of a key frame there, so that its neighbours may be sampled.
        key, clip: name of the clip around the key frame, and of the one in the other split.
        offset: frames from that clip's key frame to this frame, or to its copy.
        evidence: by what the frames were recognised.
    """

    into: str
    of: str
    how: str
    key: str
    clip: str
    offset: int
    evidence: str

    def __str__(self) -> str:
        frames = "1 frame" if abs(self.offset) == 1 else f"{abs(self.offset)} frames"
        place = f"{frames} {'after' if self.offset > 0 else 'before'} " if self.offset else ""
        return f"{self.of} {self.key}: {place}the key frame of {self.into} {self.clip} ({self.evidence})"


def find_leaks(
    seen: Split,
    seen_looks: Looks,
    measured: Split,
    measured_looks: Looks,
    partners_within: int = 0,
    near_within: int = 0,
) -> list[Leak]:
    """One leak, the worst, for each key frame of `measured` that `seen` shows or comes near to.

    Frames are the same if their files have the same bytes, or if they have the same number in the same video.

    Args:
        seen, measured: usable clips.
        seen_looks, measured_looks: what was found of their files, with digests.
        partners_within: n_h where partners are sampled from `seen`, else 0, frames.
        near_within: key frames of a video that are so near to each other are NEAR, frames.
    """
    pairs = [(clip, frame) for clip in seen.clips for frame in clip.window(partners_within)]
    pairs.sort(key=_distance)  # of several pairs with the same frame, the worst comes first
    by_digest: dict[bytes, _Pair] = {}
    by_number: dict[tuple[str, int], _Pair] = {}
    for clip, frame in pairs:
        by_digest.setdefault(seen_looks.image(frame).digest, (clip, frame))
        by_number.setdefault((clip.source_video, frame.number), (clip, frame))
    near: dict[str, list[Clip]] = defaultdict(list)
    for clip in sorted(seen.clips, key=attrgetter("key_number")):
        near[clip.source_video].append(clip)

    leaks = []
    for clip in measured.clips:
        key, video = clip.key_frame, clip.source_video
        copy = by_digest.get(measured_looks.image(key).digest)
        same = by_number.get((video, key.number))
        if copy or same:
            other, frame = min(filter(None, (copy, same)), key=_distance)
            offset = frame.number - other.key_number
            how = PARTNER if offset else KEY
            evidence = _evidence(key.image, frame.image, copied=(other, frame) == copy)
        else:
            place = bisect_left(near[video], key.number, key=attrgetter("key_number"))
            around = near[video][max(0, place - 1) : place + 1]
            other = min(around, key=lambda clip: abs(clip.key_number - key.number), default=None)
            if other is None or abs(key.number - other.key_number) > near_within:
                continue
            how, offset, evidence = NEAR, key.number - other.key_number, "the same video"
        leaks.append(Leak(seen.name, measured.name, how, clip.name, other.name, offset, evidence))
    return leaks


def _distance(pair: _Pair) -> int:
    clip, frame = pair
    return abs(frame.number - clip.key_number)


def _evidence(source: Source, other: Source, copied: bool) -> str:
    if not copied:
        return "the same frame of the same video"
    paths = [path for path in (source, other) if isinstance(path, str)]
    if len({os.path.realpath(path) for path in paths}) < len(paths):
        return f"the same file, {other}"
    return f"the same bytes as {other}" if isinstance(other, str | FilePart) else "the same pixels"
