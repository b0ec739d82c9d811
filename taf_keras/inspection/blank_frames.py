"""Frames that show nothing, or nothing of their own: what a decoder that fails may leave in silence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from taf_keras.clips.clip import Clip, Frame
from taf_keras.inspection.look import Looks, source_name
from taf_keras.video.frames import DEINTERLACE

ONE_COLOUR, REPEATED = "hold one colour alone", "have the same bytes as another frame of their video"
_REMEDY = (
    "a decoder may have failed in silence, as OpenCV does with interlaced video, which must be deinterlaced "
    f"before its frames are written: {DEINTERLACE.format('VIDEO')}"
)


@dataclass(frozen=True)
class BlankFrame:
    """A frame from which nothing can be learnt.

    Attributes:
        file: its name.
        kind: ONE_COLOUR or REPEATED.
        detail: what is wrong with it.
    """

    file: str
    kind: str
    detail: str


def find_blank_frames(clips: Iterable[Clip], partners_within: int, looks: Looks) -> tuple[BlankFrame, ...]:
    """Those among all frames that a thorough look found; of frames with the same bytes all but one."""
    found: dict[tuple[str, int], BlankFrame | None] = {}
    first: dict[tuple[str, bytes], Frame] = {}
    for clip in clips:
        video = clip.video or clip.name
        for frame in clip.window(partners_within):
            decoded = not isinstance(frame.image, np.ndarray)
            if not decoded or (video, frame.number) in found:  # windows overlap
                continue
            look, file = looks.image(frame), source_name(frame.image, frame)
            blank = BlankFrame(file, ONE_COLOUR, "holds one colour alone") if look.one_colour else None
            other = first.setdefault((video, look.digest), frame)
            if not blank and other is not frame:
                detail = f"has the same bytes as {source_name(other.image, other)}"
                blank = BlankFrame(file, REPEATED, detail)
            found[video, frame.number] = blank
    return tuple(filter(None, found.values()))


def blank_warnings(split: str, frames: int, blank: Iterable[BlankFrame]) -> list[str]:
    """A sentence for each kind of blank frame that the split has.

    Args:
        frames: of the split in all.
    """
    warnings = []
    for kind in (ONE_COLOUR, REPEATED):
        alike = [frame for frame in blank if frame.kind == kind]
        if alike:
            count = f"{len(alike):,} of {frames:,}"
            warnings.append(f"{split} has frames that {kind}, {count}, the first {alike[0].file}: {_REMEDY}")
    return warnings
