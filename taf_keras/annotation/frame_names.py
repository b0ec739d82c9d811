"""Which frame of which video an image of an export shows, told by its name.

    street_000120.png       frame 120 of street.mp4; with whatever tools put around it, as folders,
                            3f2a9c1e- (Label Studio), _png.rf.HASH (Roboflow), _mask, _label or _ids
    frame_000120, 000120    frame 120 of the one video that there is; CVAT calls the frames of a video task so
    street/000120.jpg       frame 120 of street.mp4; where one image lies so, all that are called so have to
    index.csv               of `taf_keras.label`, for stills that have names of other kinds

Frames are numbered from 0, in the order in which they are decoded.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from taf_keras.errors import UserError
from taf_keras.label_formats.open_export import PICTURES, files, read_text
from taf_keras.label_formats.pictures import MASK_SUFFIX, composed

Place = tuple[str, int]  # the name of a video, and the number of a frame in it

_UPLOAD = re.compile(r"[0-9a-f]{8}-(.+)")
_APPENDED = re.compile(rf"(.+?)(_(png|jpe?g|bmp))?(\.rf\.[0-9A-Za-z]+)?({MASK_SUFFIX})?")
_ALONE = re.compile(r"(?:frame_)?([0-9]{1,9})")
_NUMBER = re.compile(r"[0-9]{1,9}")
_LONGEST = 1000  # characters; no file has such a name


def frame_of(
    name: str, videos: Iterable[str], index: Mapping[str, Place] | None = None, bare: bool = True
) -> Place | None:
    """The frame that an image of this name shows; None where the name does not tell.

    Args:
        videos: names of the videos, the stems of their files.
        index: of index.csv: stem of a still -> its frame.
        bare: whether a number alone is enough, where there is one video; see `bare_numbers`.
    """
    named = {composed(video): video for video in videos}
    path = PurePosixPath(composed(name).replace("\\", "/"))
    for stem in _stems(path) if len(name) <= _LONGEST else ():
        if index and stem in index:
            video, number = index[stem]
            return named.get(composed(video), video), number
        for video in named:
            number = stem.removeprefix(f"{video}_")
            if number != stem and _NUMBER.fullmatch(number):
                return named[video], int(number)
        if match := _ALONE.fullmatch(stem):
            if path.parent.name in named:
                return named[path.parent.name], int(match[1])
            if bare and len(named) == 1:
                return next(iter(named.values())), int(match[1])
    return None


def bare_numbers(names: Iterable[str], videos: Iterable[str]) -> bool:
    """Whether numbers alone can be of the one video: not where the export has folders named after videos."""
    videos = set(map(composed, videos))
    return not any(PurePosixPath(composed(name).replace("\\", "/")).parent.name in videos for name in names)


def _stems(path: PurePosixPath) -> Iterable[str]:
    """The name as it is, then without what tools put before and after it."""
    whole = path.stem if path.suffix.lower() in PICTURES else path.name
    shorter = match[1] if (match := _APPENDED.fullmatch(whole)) else whole
    uploaded = [match[1] for stem in (whole, shorter) if (match := _UPLOAD.fullmatch(stem))]
    return dict.fromkeys([whole, shorter, *uploaded])


def read_index(path: Path) -> dict[str, Place]:
    """index.csv of `taf_keras.label`: stem of a still -> its frame. Raises: UserError for another table."""
    rows = csv.DictReader(read_text(path).splitlines())
    if not {"image", "video", "frame"} <= set(rows.fieldnames or ()):
        raise UserError(f"{path}: must have the columns image, video and frame")
    try:
        return {composed(PurePosixPath(row["image"]).stem): (row["video"], int(row["frame"])) for row in rows}
    except (TypeError, ValueError, csv.Error) as error:
        raise UserError(f"{path}: is damaged: {error}") from None


def frames_in(folder: Path) -> dict[str, dict[int, Path]]:
    """The frames of a folder by video and number: files VIDEO_NNNNNN.png, or VIDEO/NNNNNN.png.

    Raises: UserError where there are none, and where two folders have one: the other may hold masks.
    """
    found: dict[str, dict[int, Path]] = {}
    for path in files(folder, PICTURES):
        video, _, number = path.stem.rpartition("_")
        if _NUMBER.fullmatch(path.stem) and path.parent != folder:
            video, number = path.parent.name, path.stem
        if video and _NUMBER.fullmatch(number):
            first = found.setdefault(video, {}).setdefault(int(number), path)
            if first.parent != path.parent:
                raise UserError(
                    f"--frames={folder}: {first.relative_to(folder)} and {path.relative_to(folder)} are both "
                    f"named as frame {int(number)} of {video}: give a folder that holds the images alone"
                )
    if not found:
        raise UserError(f"--frames={folder}: holds no image named VIDEO_NNNNNN or VIDEO/NNNNNN")
    return found
