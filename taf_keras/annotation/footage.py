"""Where the frames around labels come from: videos, or folders of frames."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import cv2

from taf_keras.clips.decode import read_image
from taf_keras.clips.image_files import JPEG, inspect_image, read_bytes
from taf_keras.config import usable_cores
from taf_keras.errors import BadFileError, UserError
from taf_keras.files import write_bytes
from taf_keras.progress import Progress
from taf_keras.sizes import Size, size_text
from taf_keras.video.frames import DEINTERLACE, image_size, save_frames
from taf_keras.video.match import UNLIKE, Match, consensus, find_stills, summary

QUALITY = 95  # of JPEG
_SEARCH = 8  # frames on either side among which a still is looked for


class Footage(Protocol):
    """The frames of one video.

    Attributes:
        name: what the data set calls it.
        source: its file or folder.
        offset: a frame's index in the video less its number.
        size: (height, width) of the frames, px.
        identity: tells another video of the same name.
    """

    name: str
    source: Path
    offset: int

    @property
    def size(self) -> Size: ...

    @property
    def identity(self) -> str: ...

    def check(self, stills: Mapping[int, Path]) -> tuple[list[str], dict[int, str]]:
        """Compares images with the frames that they should be.

        Returns: sentences for the user; and of frames that are not the image, why.
        """

    def write(self, targets: Mapping[int, Path], size: Size) -> dict[int, BadFileError]:
        """Writes frames by their numbers, as JPEG; those that are not there stay unwritten.

        Returns: those whose image cannot be used, which stay unwritten too.
        """


@dataclass
class VideoFile:
    """Frames of a video's file."""

    name: str
    source: Path
    offset: int = 0

    @property
    def identity(self) -> str:
        return f"a video of {self.source.stat().st_size} bytes"

    @cached_property
    def size(self) -> Size:
        return image_size(self.source)

    def check(self, stills: Mapping[int, Path]) -> tuple[list[str], dict[int, str]]:
        """Sets the offset where more than half of the images agree on one.

        Raises: UserError where no image is like the frames near its number.
        """
        if not stills:
            return [], {}
        with Progress(f"{self.name}: finding {len(stills)} images in the video") as progress:
            matches, _, stuck = find_stills(
                self.source, {n: str(path) for n, path in stills.items()}, 0, _SEARCH, progress
            )
        if stuck:
            command = DEINTERLACE.format(shlex.quote(str(self.source)))
            raise UserError(
                f"{self.source}: is not decoded: it gives one picture, unlike every image, as interlaced "
                f"video does; deinterlace it, {command}, and give that the name {self.source.stem}.mp4"
            )
        found = consensus(matches)
        if found is None and all(match.verdict == UNLIKE or match.offset is None for match in matches):
            raise UserError(
                f"{self.source}: its frames are unlike the images that are named after them "
                f"({summary(matches)}; looked at ±{_SEARCH} frames): is it the video they were taken from?"
            )
        self.offset = self.offset if found is None else found
        notes = []
        if self.offset:
            notes.append(
                f"{self.name}: image N is the video's frame N {self.offset:+d}, counted from 0 "
                f"({summary(matches)}): labels keep their numbers, frames are taken there"
            )
        else:
            notes.append(f"{self.name}: images found at their frames: {summary(matches)}")
        wrong = {match.number: _wrong(match) for match in matches if match.contradicts(self.offset)}
        return notes, wrong

    def write(self, targets: Mapping[int, Path], size: Size) -> dict[int, BadFileError]:
        wanted = {number + self.offset: path for number, path in targets.items() if number + self.offset >= 0}
        if wanted:
            with Progress(f"{self.name}: frames") as progress:
                save_frames(self.source, wanted, size, QUALITY, usable_cores(), progress)
        return {}


def _wrong(match: Match) -> str:
    """Why an image is not the frame that it should be."""
    if match.verdict == UNLIKE:
        return "its image is unlike the video's frames near it"
    return f"its image is more like frame {match.number + match.offset} of the video"


@dataclass
class FrameFolder:
    """Frames that are image files already."""

    name: str
    source: Path
    files: Mapping[int, Path]
    offset: int = 0

    @property
    def identity(self) -> str:
        return "images"

    @cached_property
    def size(self) -> Size:
        """That of the first image that can be used. Raises: BadFileError, of the first, where none can."""
        errors = []
        for file in self.files.values():
            try:
                return inspect_image(str(file))
            except BadFileError as error:
                errors.append(error)
        raise errors[0]

    def check(self, stills: Mapping[int, Path]) -> tuple[list[str], dict[int, str]]:
        return [], {}  # they are the images

    def write(self, targets: Mapping[int, Path], size: Size) -> dict[int, BadFileError]:
        errors = {}
        for number, target in targets.items():
            if number not in self.files:
                continue
            try:
                data = self._jpeg(str(self.files[number]), size)
            except BadFileError as error:
                errors[number] = error
                continue
            if not (target.exists() and target.read_bytes() == data):
                write_bytes(target, data)
        return errors

    def _jpeg(self, file: str, size: Size) -> bytes:
        own = inspect_image(file)
        if not same_aspect(own, self.size):
            found = f"has {size_text(own)} px, other frames {size_text(self.size)}: not the same aspect ratio"
            raise BadFileError(file, found)
        data = read_bytes(file)
        if data.startswith(JPEG) and own == size:
            return data
        pixels = cv2.cvtColor(read_image(file, size), cv2.COLOR_RGB2BGR)
        return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def same_aspect(size: Sequence[int], other: Size) -> bool:
    """Whether one is the other scaled by one factor, but for one pixel of rounding."""
    return abs(size[0] * other[1] - size[1] * other[0]) <= max(other)
