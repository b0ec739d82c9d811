"""Where the frames around labels come from: videos, or folders of frames."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import cv2

from taf_keras.clips.decode import read_image
from taf_keras.clips.image_files import inspect_image
from taf_keras.errors import UserError
from taf_keras.files import write_bytes
from taf_keras.progress import Progress
from taf_keras.sizes import Size
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

    def write(self, targets: Mapping[int, Path], size: Size) -> None:
        """Writes frames by their numbers, as JPEG; those that are not there stay unwritten."""


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

    def write(self, targets: Mapping[int, Path], size: Size) -> None:
        wanted = {number + self.offset: path for number, path in targets.items() if number + self.offset >= 0}
        if wanted:
            with Progress(f"{self.name}: frames") as progress:
                save_frames(self.source, wanted, size, QUALITY, os.cpu_count() or 1, progress)


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
        return inspect_image(str(next(iter(self.files.values()))))

    def check(self, stills: Mapping[int, Path]) -> tuple[list[str], dict[int, str]]:
        return [], {}  # they are the images

    def write(self, targets: Mapping[int, Path], size: Size) -> None:
        there = {number: target for number, target in targets.items() if number in self.files}
        for number, target in there.items():
            file = self.files[number]
            jpeg = file.suffix.lower() in (".jpg", ".jpeg")
            if jpeg and inspect_image(str(file)) == size:
                data = file.read_bytes()
            else:
                pixels = cv2.cvtColor(read_image(str(file), size), cv2.COLOR_RGB2BGR)
                data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
            if not (target.exists() and target.read_bytes() == data):
                write_bytes(target, data)
