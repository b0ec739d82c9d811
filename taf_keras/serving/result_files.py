"""The files of a prediction: their names, and the marks by which they are known."""

from __future__ import annotations

import os
import struct
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from taf_keras.errors import UserError
from taf_keras.files import write_bytes
from taf_keras.video.write import MARK as VIDEO_MARK

# A chunk of text in every PNG that is written here, after its first chunk, which ends at this byte. It keeps
# the earlier name of the command, so that earlier predictions are known as such.
_TEXT = b"tEXtSoftware\0taf_keras.serving.predict"
_MARK = struct.pack(">I", len(_TEXT) - 4) + _TEXT + struct.pack(">I", zlib.crc32(_TEXT))
_MARK_BEGIN = 33
ARCHIVE_MARK = b"written by taf_keras"  # the comment of a .npz, with which such a file ends
SHARE = "share of "  # the columns of classes in a table; its header is its mark
_TABLE_MARK = f"frame,seconds,{SHARE}".encode()


def result_names(files: Sequence[Path]) -> list[Path]:
    """What the results of each file are called in the output folder, less `_labels.png`, `_overlay.mp4`, ….

    The file's stem, with its suffix where another file of its folder has the same stem, and below its
    folder's path from the folder that all files share: so STEM alone where all are in one folder.

    Raises: UserError where two would still get the same name.
    """
    if not files:
        return []
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


def image_results(stem: Path) -> list[Path]:
    """The files of one image: its label map, and the overlay."""
    return [stem.with_name(f"{stem.name}_{result}.png") for result in ("labels", "overlay")]


def video_results(stem: Path, labels: str) -> list[Path]:
    """The files of one video, and those of an earlier prediction that will go.

    Args:
        labels: `none`, `png` or `npz`.
    """
    found = [stem.with_name(f"{stem.name}_{result}") for result in ("overlay.mp4", "classes.csv")]
    if labels == "npz":
        found.append(label_archive(stem))
    if labels == "png":
        folder = label_folder(stem)
        found += earlier_labels(folder) if folder.is_dir() or not os.path.lexists(folder) else [folder]
    return found


def label_folder(stem: Path) -> Path:
    """Where the label maps of a video go."""
    return stem.with_name(f"{stem.name}_labels")


def label_archive(stem: Path) -> Path:
    """Where the label maps of a video go in one file."""
    return stem.with_name(f"{stem.name}_labels.npz")


def earlier_labels(folder: Path) -> list[Path]:
    """The files in it that have the name of a frame's label map."""
    return [path for path in sorted(folder.glob("*.png")) if path.stem.isdecimal()]


def remove_labels(stem: Path, new: Collection[Path]) -> None:
    """Removes the label maps of earlier predictions of a video, of every kind, but not the `new` ones."""
    folder = label_folder(stem)
    earlier = [
        path for path in {label_archive(stem), *earlier_labels(folder)} - set(new) if is_prediction(path)
    ]
    for path in earlier:
        path.unlink()
    if earlier:
        with suppress(OSError):  # where it holds anything else
            folder.rmdir()


def prepare_folders(paths: Iterable[Path]) -> None:
    """Makes the folders of results.

    Raises: UserError where a result would replace anything but an earlier one, or a folder cannot be made.
    """
    paths = list(paths)
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
    """Whether this command wrote the file; its name alone would not tell it from one of the user's."""
    try:
        with path.open("rb") as file:
            begin = file.read(_MARK_BEGIN + len(_MARK))
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - len(VIDEO_MARK)))
            end = file.read()
    except OSError:
        return False
    return (
        begin[_MARK_BEGIN:] == _MARK
        or begin.replace(b'"', b"").startswith(_TABLE_MARK)  # a name may need quotes
        or end == VIDEO_MARK
        or (begin.startswith(b"PK") and end.endswith(ARCHIVE_MARK))
    )
