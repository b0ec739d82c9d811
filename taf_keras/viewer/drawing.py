"""The pictures of one clip: its frames, what is predicted on them, and where that is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taf_keras.clips.clip import VOID, ClassTable, Clip, Frame
from taf_keras.clips.decode import read_image, read_label
from taf_keras.clips.image_files import inspect_image
from taf_keras.config import DataConfig
from taf_keras.errors import BadFileError
from taf_keras.evaluation.evaluate import Predict
from taf_keras.inspection.look import source_name
from taf_keras.sizes import Size, size_text
from taf_keras.viewer.choice import chosen_offsets
from taf_keras.viewer.pictures import shown_size, write_image, write_label, write_wrong


@dataclass(frozen=True)
class Drawn:
    """What was drawn of a clip.

    Attributes:
        offsets: n of the frames, ascending, 0 among them.
        labelled: those of frames that have a truth.
        size: (height, width) of the pictures, px.
        train_ids: the classes in truth or prediction of any of the frames, ascending.
        unread: the frames that could not be read.
    """

    offsets: tuple[int, ...]
    labelled: tuple[int, ...]
    size: Size
    train_ids: tuple[int, ...]
    unread: tuple[BadFileError, ...]


def draw_clip(
    folder: Path, clip: Clip, classes: ClassTable, data: DataConfig, predict: Predict, frames: int
) -> Drawn:
    """Writes N_image.jpg and N_prediction.png of at most so many frames, N being n; and of labelled frames
    N_truth.png and N_wrong.png.

    Raises: BadFileError for a key frame that cannot be read.
    """
    folder.mkdir(parents=True)
    offsets, labelled, seen, unread = [], [], set(), []
    size = read_image(clip.key_frame.image, data.image_size).shape[:2]
    for n in chosen_offsets(clip.offsets(data.temporal_context), frames):
        try:
            image, label = _read(clip.at(n), classes, data.image_size, size)
        except BadFileError as error:
            if n == 0:
                raise
            unread.append(error)
            continue
        prediction = predict(image[None])[0].astype(np.uint8)
        write_image(folder / f"{n}_image.jpg", image)
        write_label(folder / f"{n}_prediction.png", prediction, classes)
        seen |= set(np.unique(prediction).tolist())
        offsets.append(n)
        if label is not None:
            write_label(folder / f"{n}_truth.png", label, classes)
            write_wrong(folder / f"{n}_wrong.png", label, prediction)
            seen |= set(np.unique(label).tolist()) - {VOID}
            labelled.append(n)
    return Drawn(tuple(offsets), tuple(labelled), shown_size(size), tuple(sorted(seen)), tuple(unread))


def _read(
    frame: Frame, classes: ClassTable, image_size: Size | None, size: Size
) -> tuple[np.ndarray, np.ndarray | None]:
    """The image and the truth, if there is one. Raises: BadFileError where one is not of `size`, too."""
    if not isinstance(frame.image, np.ndarray):
        inspect_image(frame.image)  # refuses what training does
    image = read_image(frame.image, image_size)
    label = None if frame.label is None else read_label(frame.label, classes, image_size)
    for source, pixels in ((frame.image, image), (frame.label, label)):
        if pixels is not None and pixels.shape[:2] != size:
            found = f"has {size_text(pixels.shape[:2])} px, its key frame {size_text(size)} px"
            raise BadFileError(source_name(source, frame), found)
    return image, label
