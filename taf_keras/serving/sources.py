"""What a prediction is made of: the images, videos and cameras that a command line names."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from taf_keras.errors import UserError
from taf_keras.files import reads
from taf_keras.serving.result_files import is_prediction

# Of what OpenCV reads. Names decide, not contents: a broken picture shall be named, not passed over.
_IMAGES = (
    *(".avif", ".bmp", ".dib", ".exr", ".gif", ".hdr", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo"),
    *(".pam", ".pbm", ".pfm", ".pgm", ".pic", ".png", ".pnm", ".ppm", ".pxm", ".ras", ".sr", ".tif"),
    *(".tiff", ".webp"),
)
_VIDEOS = (
    *(".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"),
    *(".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
)


@dataclass(frozen=True)
class Sources:
    """Each once, in the order in which they were named, those of a folder by name.

    Attributes:
        images, videos: files.
        cameras: numbers, as OpenCV counts them.
        skipped: what was left out -> how many: `other file`, `folder` within a folder, `earlier prediction`.
    """

    images: list[Path]
    videos: list[Path]
    cameras: list[int]
    skipped: dict[str, int]


def find_sources(words: Iterable[str]) -> Sources:
    """Finds what is named: files, folders of them, patterns such as *.mp4, and numbers of cameras.

    Raises: UserError for a word that names nothing, a folder without images and videos, a URL, or nothing to
        segment.
    """
    found: dict[str, Path] = {}
    cameras: dict[int, None] = {}
    skipped = Counter({"other file": 0, "folder": 0})
    for word in words:
        if word.isdecimal() and not os.path.lexists(word):
            cameras[int(word)] = None
        else:
            found |= {os.path.abspath(file): file for file in _files(word, skipped)}
    files = [file for file in found.values() if not is_prediction(file)]
    skipped["earlier prediction"] = len(found) - len(files)
    if not files and not cameras:
        raise UserError(f"{next(iter(found.values()))}: is an earlier prediction, and nothing else is there")
    videos = [file for file in files if file.suffix.lower() in _VIDEOS]
    images = [file for file in files if file not in videos]
    return Sources(images, videos, [*cameras], {what: count for what, count in skipped.items() if count})


def _files(word: str, skipped: Counter) -> Iterator[Path]:
    path = Path(word)
    if path.is_dir():
        yield from _in_folder(path, skipped)
    elif path.is_file():
        yield path
    elif "://" in word:
        raise UserError(f"{word}: URLs are not read: give a file, or the number of a camera")
    elif glob.has_magic(word):
        matches = sorted(glob.glob(word, recursive=True))
        if not matches:
            raise UserError(f"{word}: no file matches")
        for match in matches:
            yield from _in_folder(Path(match), skipped) if os.path.isdir(match) else [Path(match)]
    else:
        raise UserError(f"{word}: no such image, video or folder")


def _in_folder(folder: Path, skipped: Counter) -> list[Path]:
    with reads(folder):
        entries = sorted(folder.iterdir())
    folders = [path for path in entries if path.is_dir()]
    files = [path for path in entries if path.suffix.lower() in _IMAGES + _VIDEOS and path.name[0] != "."]
    files = [path for path in files if path not in folders]
    if not files:
        below = f"; the folders in it, such as {folders[0]}, are not searched: name them" if folders else ""
        raise UserError(f"{folder}: holds no images or videos{below}")
    skipped["folder"] += len(folders)
    skipped["other file"] += len(entries) - len(folders) - len(files)
    return files
