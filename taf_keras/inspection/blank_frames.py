"""Frames that show nothing, or nothing of their own: what a decoder that fails may leave in silence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from taf_keras.clips.clip import Clip, Frame
from taf_keras.inspection.look import Looks
from taf_keras.video.frames import DEINTERLACE

ONE_COLOUR, REPEATED = "hold one colour alone", "have the same bytes as another frame of their video"
_REMEDY = (
    "a decoder may have failed in silence, as OpenCV does with interlaced video, which must be deinterlaced "
    f"before its frames are written: {DEINTERLACE.format('VIDEO')}"
)


@dataclass(frozen=True)
class BlankFrame:
    """A frame from which nothing can be learnt; `kind` is ONE_COLOUR or REPEATED, `detail` says why."""

    file: str
    kind: str
    detail: str


def find_blank_frames(clips: Iterable[Clip], partners_within: int, looks: Looks) -> tuple[BlankFrame, ...]:
    """Those among all frames that a thorough look found; of frames with the same bytes all but one."""
    frames: dict[tuple[str, int], Frame] = {}  # windows overlap
    for clip in clips:
        for frame in clip.window(partners_within):
            if not isinstance(frame.image, np.ndarray):  # which was not decoded
                frames.setdefault((clip.source_video, frame.number), frame)
    found, first = [], {}
    for (video, _), frame in frames.items():
        look, file = looks.image(frame), str(frame.image)
        other = first.setdefault((video, look.digest), frame)
        if look.one_colour:
            found.append(BlankFrame(file, ONE_COLOUR, "holds one colour alone"))
        elif other is not frame:
            found.append(BlankFrame(file, REPEATED, f"has the same bytes as {other.image}"))
    return tuple(found)


def blank_warnings(split: str, frames: int, blank: Sequence[BlankFrame]) -> list[str]:
    """A sentence for each kind of blank frame of a split that has so many `frames` in all."""
    warnings = []
    for kind in (ONE_COLOUR, REPEATED):
        alike = [frame for frame in blank if frame.kind == kind]
        if alike:
            count = f"{len(alike):,} of {frames:,}"
            warnings.append(f"{split} has frames that {kind}, {count}, the first {alike[0].file}: {_REMEDY}")
    return warnings
