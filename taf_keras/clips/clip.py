"""Clips: the only form in which the rest of the software sees a data set."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np

from taf_keras.errors import BadFileError, UserError

VOID = 255  # train id of pixels that never count, in every data set once its label maps are decoded


@dataclass(frozen=True)
class FilePart:
    """An image file that lies inside a larger one, as in the packed form of a data set.

    Attributes:
        name: the path that the image had; it identifies the image, as a path does.
        path: the file that holds it.
        begin, length: where its bytes are, as they were in the image's own file.
    """

    name: str
    path: str
    begin: int
    length: int

    def __str__(self) -> str:
        return f"{self.path} ({self.name})"


Source = str | FilePart | np.ndarray  # a file's path, a part of a file, or the decoded array itself


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a source video.

    Attributes:
        number: frame number in the source video; offsets are differences of these numbers.
        image: file, or uint8 RGB array (height, width, 3).
        label: file, or uint8 array (height, width) of raw label ids; None for an unlabelled frame.

    Example:
        >>> image, label = np.zeros((96, 128, 3), np.uint8), np.zeros((96, 128), np.uint8)
        >>> Frame(120, image, label).number
        120
    """

    number: int
    image: Source
    label: Source | None = None

    @property
    def identity(self):
        """Equal for frames that show the same image file (or array), in whichever clip they lie."""
        if isinstance(self.image, np.ndarray):
            return id(self.image)
        return self.image.name if isinstance(self.image, FilePart) else self.image


@dataclass(frozen=True, eq=False)
class Clip:
    """Ordered frames of one video around one annotated key frame (Section 2.1).

    Attributes:
        name: unique within its split; used in messages, file names and pictures.
        frames: frames in ascending order of their numbers; gaps are allowed.
        key_number: number of the key frame, one of `frames`.
        video: the video in which the frames are numbered; clips of one video may overlap. By default
            the clip's own name: a video of its own.
    Raises: UserError for frames that do not ascend, and a key frame that is not one of them.

    Example:
        >>> images = np.zeros((3, 96, 128, 3), np.uint8)
        >>> label = np.zeros((96, 128), np.uint8)
        >>> frames = (Frame(119, images[0]), Frame(120, images[1], label), Frame(122, images[2]))
        >>> Clip("harbour", frames, key_number=120).offsets(temporal_context=15)
        (-1, 0, 2)
    """

    name: str
    frames: tuple[Frame, ...]
    key_number: int
    video: str = ""

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

    @property
    def source_video(self) -> str:
        """The name of the video in which the frames are numbered."""
        return self.video or self.name

    def at(self, offset_frames: int) -> Frame:
        """The frame `offset_frames` after the key frame; KeyError where the clip has none."""
        number = self.key_number + offset_frames
        for frame in self.frames:
            if frame.number == number:
                return frame
        raise KeyError(f"clip {self.name} has no frame {number}")

    def window(self, temporal_context: int) -> tuple[Frame, ...]:
        """The frames within `temporal_context` frames of the key frame, ascending, itself included."""
        return tuple(f for f in self.frames if abs(f.number - self.key_number) <= temporal_context)

    def offsets(self, temporal_context: int) -> tuple[int, ...]:
        """Offsets n of the frames that exist with |n| <= `temporal_context`, ascending, 0 included."""
        return tuple(frame.number - self.key_number for frame in self.window(temporal_context))


def clips_of(videos: Mapping[str, Mapping[int, Frame]], temporal_context: int) -> tuple[Clip, ...]:
    """One clip for each labelled frame of the videos: it and the frames within `temporal_context` of it.

    Args:
        videos: the frames of each by their numbers.
    """
    clips = []
    for video, frames in videos.items():
        numbers = sorted(frames)
        for key in (number for number in numbers if frames[number].label is not None):
            begin = bisect_left(numbers, key - temporal_context)
            end = bisect_right(numbers, key + temporal_context)
            window = tuple(frames[number] for number in numbers[begin:end])
            clips.append(Clip(f"{video}_{key:06d}", window, key, video))
    return tuple(clips)


@dataclass(frozen=True)
class ClassTable:
    """The classes of a data set, and how its label maps name them.

    Attributes:
        names: class names; the position is the train id.
        colours: one (red, green, blue) per class, 0–255, for pictures.
        raw_ids: raw id in the label files -> train id, or VOID. A raw id outside the table is an
            error in the file. None means the files hold train ids, and 255 for void.
        raw_colours: the same for label files that are RGB pictures: (red, green, blue) -> train id
            or VOID. None where there are no such files.

    Example:
        >>> classes = ClassTable(("road", "car"), ((128, 64, 128), (0, 0, 142)))
        >>> len(classes), int(classes.lookup[1]), int(classes.lookup[255]), int(classes.lookup[7])
        (2, 1, 255, -1)
    """

    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    raw_ids: dict[int, int] | None = None
    raw_colours: dict[tuple[int, int, int], int] | None = None

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def lookup(self) -> np.ndarray:
        """int16 (256,): raw id -> train id or VOID; -1 where the raw id is not allowed."""
        table = np.full(256, -1, np.int16)
        raw_ids = self.raw_ids
        if raw_ids is None:
            raw_ids = {i: i for i in range(len(self.names))} | {VOID: VOID}
        for raw, train in raw_ids.items():
            table[raw] = train
        return table

    @cached_property
    def colour_lookup(self) -> tuple[np.ndarray, np.ndarray]:
        """int32 colours 65536·red + 256·green + blue, ascending, and int16 train ids or VOID of each."""
        pairs = sorted((65536 * r + 256 * g + b, i) for (r, g, b), i in (self.raw_colours or {}).items())
        return np.int32([colour for colour, _ in pairs]), np.int16([i for _, i in pairs])


@dataclass(frozen=True)
class Split:
    """A named part of a data set.

    Attributes:
        clips, classes: its clips and their class table.
        left_out: what could not be used.
        label_pixels: int64 (clips, classes + 1), pixels of each class on the label maps of key frames, void
            last; None before they were looked at.
        note: what a user has to know of how it was made.

    Example:
        >>> classes = ClassTable(("road", "car"), ((128, 64, 128), (0, 0, 142)))
        >>> image, label = np.zeros((96, 128, 3), np.uint8), np.zeros((96, 128), np.uint8)
        >>> clip = Clip("harbour", (Frame(119, image), Frame(120, image, label)), key_number=120)
        >>> batches = pairs(Split("train", (clip,), classes), key_frames=1)
        >>> batches[0][0]["offset_frames"].shape
        (1,)
    """

    name: str
    clips: tuple[Clip, ...]
    classes: ClassTable
    left_out: tuple[BadFileError, ...] = ()
    label_pixels: np.ndarray | None = field(default=None, compare=False, repr=False)
    note: str = ""

    @property
    def absent_ids(self) -> np.ndarray:
        """Train ids of the classes of which the labels have no pixel; none until the files were looked at."""
        if self.label_pixels is None:
            return np.empty(0, np.int64)
        return np.flatnonzero(self.label_pixels[:, :-1].sum(axis=0) == 0)

    @property
    def absent_classes(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.classes.names[i] for i in self.absent_ids)
