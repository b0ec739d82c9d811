"""Predictions as label maps of the data set: the files that a test server, or another program, evaluates."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from taf_keras.clips.clip import ClassTable, Source, Split
from taf_keras.clips.image_files import inspect_image
from taf_keras.files import write_bytes
from taf_keras.sizes import Size


def label_id_writer(folder: Path, split: Split, classes: ClassTable) -> Callable[[int, np.ndarray], None]:
    """What writes predictions of key frames as folder/NAME.png: one channel of 8 bits, ids as in label files.

    NAME is that of the image file; of the clip where images are no files, or have names in common. The size
    is the image's: predictions of another size are resampled by nearest neighbour.

    Args:
        classes: the table whose ids are written. (That of a split is of the files which it was read from.)
    Returns: write(position of the first frame in the split, train ids (b, height, width)).
    """
    names, ids = file_names(split), label_ids(classes)
    folder.mkdir(parents=True, exist_ok=True)

    def write(first: int, predictions: np.ndarray) -> None:
        for position, train_ids in enumerate(predictions, first):
            size = _size(split.clips[position].key_frame.image)
            # Also where the size is the same: it then changes nothing.
            pixels = cv2.resize(ids[train_ids], size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
            write_bytes(folder / f"{names[position]}.png", cv2.imencode(".png", pixels)[1].tobytes())

    return write


def label_ids(classes: ClassTable) -> np.ndarray:
    """uint8 (classes,): train id -> its id in label files, the lowest where it has several."""
    return np.array([np.flatnonzero(classes.lookup == i)[0] for i in range(len(classes))], np.uint8)


def file_names(split: Split) -> list[str]:
    """A name for each key frame, without suffix, none twice and none with a folder."""
    images = [clip.key_frame.identity for clip in split.clips]
    stems = [Path(image).stem for image in images if isinstance(image, str)]
    if len(set(stems)) == len(images):
        return stems
    return [re.sub(r'[%/\\:*?"<>|]', lambda sign: f"%{ord(sign[0]):02X}", clip.name) for clip in split.clips]


def _size(image: Source) -> Size:
    return image.shape[:2] if isinstance(image, np.ndarray) else inspect_image(image)
