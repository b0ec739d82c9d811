"""Clips: the only form in which the rest of the software sees a data set."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from taf_keras.errors import UserError

VOID = 255  # train id of pixels that never count, in every data set once its label maps are decoded

Source = str | np.ndarray  # a file's path, or the decoded array itself


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a source video.

    Attributes:
        number: frame number in the source video; offsets are differences of these numbers.
        image: path, or uint8 RGB array (height, width, 3).
        label: path, or uint8 array (height, width) of raw label ids; None for an unlabelled frame.
    """

    number: int
    image: Source
    label: Source | None = None


@dataclass(frozen=True, eq=False)
class Clip:
    """Ordered frames of one video around one annotated key frame (Section 2.1).

    Attributes:
        name: unique within its split; used in messages, file names and pictures.
        frames: frames in ascending order of their numbers; gaps are allowed.
        key_number: number of the key frame, one of `frames`.
    """

    name: str
    frames: tuple[Frame, ...]
    key_number: int

    def __post_init__(self):
        numbers = [frame.number for frame in self.frames]
        if any(b <= a for a, b in pairwise(numbers)):
            raise UserError(f"clip {self.name}: frame numbers must ascend without repeats, got {numbers}")
        if self.key_number not in numbers:
            raise UserError(
                f"clip {self.name}: key frame {self.key_number} is not one of its frames {numbers}"
            )

    @property
    def key_frame(self) -> Frame:
        return self.at(0)

    def at(self, offset_frames: int) -> Frame:
        """The frame `offset_frames` after the key frame; KeyError where the clip has none."""
        number = self.key_number + offset_frames
        for frame in self.frames:
            if frame.number == number:
                return frame
        raise KeyError(f"clip {self.name} has no frame {number}")

    def offsets(self, temporal_context: int) -> tuple[int, ...]:
        """Offsets n of the frames that exist with |n| <= `temporal_context`, ascending, 0 included."""
        offsets = (frame.number - self.key_number for frame in self.frames)
        return tuple(n for n in offsets if abs(n) <= temporal_context)


@dataclass(frozen=True)
class ClassTable:
    """The classes of a data set.

    Attributes:
        names: class names; the position is the train id.
        colours: one (red, green, blue) per class, 0–255, for pictures.
        raw_ids: raw id in the label files -> train id, or VOID. A raw id outside the table is an
            error in the file. None means the files hold train ids, and 255 for void.
    """

    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    raw_ids: dict[int, int] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def lookup(self) -> np.ndarray:
        """int16 table (256,): raw id -> train id or VOID; -1 where the raw id is not allowed."""
        table = np.full(256, -1, np.int16)
        raw_ids = self.raw_ids
        if raw_ids is None:
            raw_ids = {i: i for i in range(len(self.names))} | {VOID: VOID}
        for raw, train in raw_ids.items():
            table[raw] = train
        return table


@dataclass(frozen=True)
class Split:
    """A named part of a data set: its clips and their class table."""

    name: str
    clips: tuple[Clip, ...]
    classes: ClassTable
