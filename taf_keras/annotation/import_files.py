"""The label maps and frames of an imported data set: where they are, and how they are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np

from taf_keras.annotation.frame_names import Place
from taf_keras.errors import UserError
from taf_keras.files import write_bytes, writes


def label_path(folder: Path, place: Place) -> Path:
    return folder / "labels" / place[0] / f"{place[1]:06d}.png"


def frame_path(folder: Path, place: Place) -> Path:
    return folder / "frames" / place[0] / f"{place[1]:06d}.jpg"


def window(keys: Iterable[int], context: int) -> list[int]:
    """The numbers of the frames within `context` of a key frame, ascending."""
    return sorted({n for key in keys for n in range(max(0, key - context), key + context + 1)})


def labels_there(folder: Path) -> dict[Place, Path]:
    """The label maps that the data set has."""
    found = sorted((folder / "labels").glob("*/*.png"))
    return {(path.parent.name, int(path.stem)): path for path in found if path.stem.isdecimal()}


def label_counts(path: Path) -> np.ndarray:
    """int64 (256,): how many pixels have each id. Raises: UserError for a damaged file."""
    label = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if label is None:
        raise UserError(f"{path}: is not a readable image; remove it")
    return np.bincount(label.ravel(), minlength=256)


def write_labels(maps: Mapping[Place, bytes], folder: Path) -> None:
    """Writes those that are not there already, byte for byte."""
    for place, data in maps.items():
        path = label_path(folder, place)
        with writes(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        if not (path.exists() and path.read_bytes() == data):
            write_bytes(path, data)
