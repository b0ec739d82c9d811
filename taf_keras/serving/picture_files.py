"""Files of a prediction: the pictures that it takes, and the names under which it writes."""

from __future__ import annotations

import os
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np

from taf_keras.errors import UserError
from taf_keras.files import reads, write_bytes

# Of what OpenCV reads. Names decide, not contents: a broken picture shall be named, not passed over.
_SUFFIXES = (
    *(".avif", ".bmp", ".dib", ".exr", ".gif", ".hdr", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo"),
    *(".pam", ".pbm", ".pfm", ".pgm", ".pic", ".png", ".pnm", ".ppm", ".pxm", ".ras", ".sr", ".tif"),
    *(".tiff", ".webp"),
)
# A chunk of text in every PNG that is written here, after its first chunk, which ends at this byte. It keeps
# the earlier name of the command, so that earlier predictions are known as such.
_TEXT = b"tEXtSoftware\0taf_keras.serving.predict"
_MARK = struct.pack(">I", len(_TEXT) - 4) + _TEXT + struct.pack(">I", zlib.crc32(_TEXT))
_MARK_BEGIN = 33


def find_pictures(sources: Iterable[str]) -> tuple[list[Path], dict[str, int]]:
    """The image files of `sources`, which are files, or folders of them.

    Returns: the files, each once, in the order in which they were named, those of a folder by name; and what
        was left out -> how many: `other file`, `folder` within a folder, `earlier prediction`.
    Raises: UserError for a source that does not exist, a folder without images, or nothing to segment.
    """
    found: dict[str, Path] = {}
    skipped = Counter({"other file": 0, "folder": 0})
    for source in map(Path, sources):
        if source.is_dir():
            files = _in_folder(source, skipped)
        elif source.is_file():
            files = [source]
        else:
            raise UserError(f"{source}: no such image or folder")
        found |= {os.path.abspath(file): file for file in files}
    files = [file for file in found.values() if not is_prediction(file)]
    skipped["earlier prediction"] = len(found) - len(files)
    if not files:
        raise UserError(f"{next(iter(found.values()))}: is an earlier prediction, and nothing else is there")
    return files, {what: count for what, count in skipped.items() if count}


def _in_folder(folder: Path, skipped: Counter) -> list[Path]:
    with reads(folder):
        entries = sorted(folder.iterdir())
    folders = [path for path in entries if path.is_dir()]
    files = [path for path in entries if path.suffix.lower() in _SUFFIXES and path.name[0] != "."]
    files = [path for path in files if path not in folders]
    if not files:
        below = f"; the folders in it, such as {folders[0]}, are not searched: name them" if folders else ""
        raise UserError(f"{folder}: holds no images{below}")
    skipped["folder"] += len(folders)
    skipped["other file"] += len(entries) - len(folders) - len(files)
    return files


def result_names(files: Sequence[Path]) -> list[Path]:
    """What the results of each file are called in the output folder, less `_labels.png` or `_overlay.png`.

    The file's stem, with its suffix where another file of its folder has the same stem, and below its
    folder's path from the folder that all files share: so STEM alone where all are in one folder.

    Raises: UserError where two would still get the same name.
    """
    shared = os.path.commonpath([os.path.dirname(os.path.abspath(file)) for file in files])
    places = [Path(os.path.relpath(file, shared)) for file in files]
    stems = Counter(place.with_suffix("") for place in places)
    owners: dict[Path, Path] = {}
    for file, place in zip(files, places, strict=True):
        stem = place.with_suffix("")
        name = stem if stems[stem] == 1 else place
        owner = owners.setdefault(name, file)
        if owner is not file:
            raise UserError(
                f"{file}: would get the result {name.name}_labels.png, as {owner} does: rename one"
            )
    return list(owners)


def prepare_folder(folder: Path, names: Iterable[Path]) -> None:
    """Makes the output folder, and those in it that the names need.

    Raises: UserError where a result would replace anything but an earlier one, or a folder cannot be made.
    """
    paths = [folder / f"{name}_{result}.png" for name in names for result in ("labels", "overlay")]
    for path in paths:
        if os.path.lexists(path) and not is_prediction(path):
            raise UserError(f"{path}: would be replaced, and is no prediction: give another --output_dir")
    for parent in dict.fromkeys(path.parent for path in paths):
        try:
            parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{parent}: cannot be made a folder: {error.strerror or error}") from None


def write_result(path: Path, pixels: np.ndarray) -> None:
    """Writes a PNG with the mark of this command. Raises: UserError where it cannot be written."""
    data = cv2.imencode(".png", pixels)[1].tobytes()
    write_bytes(path, data[:_MARK_BEGIN] + _MARK + data[_MARK_BEGIN:])


def is_prediction(path: Path) -> bool:
    """Whether `write_result` wrote the file; its name alone would not tell it from a label map."""
    try:
        with path.open("rb") as file:
            file.seek(_MARK_BEGIN)
            return file.read(len(_MARK)) == _MARK
    except OSError:
        return False
