"""The labels of an export as label maps of a data set: one for each frame, in the frames' size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from taf_keras.annotation.footage import Footage, same_aspect
from taf_keras.annotation.frame_names import Place, bare_numbers, frame_of
from taf_keras.clips.clip import VOID
from taf_keras.clips.decode import resized_ids
from taf_keras.errors import BadFileError
from taf_keras.label_formats.export import UNLABELLED, Export, LabelledImage
from taf_keras.progress import Progress
from taf_keras.sizes import Size, size_text


@dataclass(eq=False)
class LabelledFrames:
    """Label maps by video and number of the frame.

    Attributes:
        maps: PNG files of class ids.
        pixels: int64 (256,) of each, how many pixels have each id.
        pictures: the images, where the export has them.
        unlabelled, total: pixels that nobody labelled, and all.
        left_out: what could not be used.
        said: what was done to a label map -> how often.
    """

    maps: dict[Place, bytes] = field(default_factory=dict)
    pixels: dict[Place, np.ndarray] = field(default_factory=dict)
    pictures: dict[Place, Path] = field(default_factory=dict)
    unlabelled: int = 0
    total: int = 0
    left_out: list[BadFileError] = field(default_factory=list)
    said: Counter = field(default_factory=Counter)

    def drop(self, place: Place, reason: str) -> None:
        self.left_out.append(BadFileError(f"{place[0]} {place[1]}", reason))
        for of in (self.maps, self.pixels, self.pictures):
            of.pop(place, None)


def labelled_frames(
    export: Export,
    videos: Mapping[str, Footage],
    index: Mapping[str, Place],
    ids: np.ndarray,
    size: Size | None,
) -> LabelledFrames:
    """Reads every label map, and gives it the ids and the size of its frame.

    Args:
        index: of index.csv, or empty.
        ids: uint8 (256,): value in a label map of the export -> id in the data set, or VOID.
        size: (height, width) of the frames, px; None is each video's own.
    """
    frames = LabelledFrames(left_out=list(export.left_out))
    names: dict[Place, str] = {}
    bare = bare_numbers((image.name for image in export.images), videos)
    with Progress("labels") as progress:
        for done, image in enumerate(export.images, 1):
            place = frame_of(image.name, videos, index, bare)
            try:
                if place is None or place[0] not in videos:
                    raise BadFileError(image.name, _nameless(videos))
                label = image.read()
                _check_shape(image, label.shape, videos[place[0]])
                _take(frames, names, place, image, label, ids, size or videos[place[0]].size)
            except BadFileError as error:
                frames.left_out.append(error)
            progress(done, len(export.images))
    return frames


def _take(
    frames: LabelledFrames,
    names: dict[Place, str],
    place: Place,
    image: LabelledImage,
    label: np.ndarray,
    ids: np.ndarray,
    size: Size,
) -> None:
    own = ids[label]
    if (own == VOID).all():
        frames.said["without a pixel of a class: not used"] += 1
        return
    if own.shape != size:
        frames.said["resized to the frames' size"] += 1
        own = resized_ids(own, size)
    data = cv2.imencode(".png", own)[1].tobytes()
    if place in frames.maps:
        if frames.maps[place] != data:
            reason = f"labels frame {place[1]} of {place[0]} otherwise than {names[place]}, which counts"
            raise BadFileError(image.name, reason)
        return
    names[place], frames.maps[place] = image.name, data
    frames.pixels[place] = np.bincount(own.ravel(), minlength=256)
    frames.unlabelled += int((label == UNLABELLED).sum())
    frames.total += label.size
    if image.picture is not None:
        frames.pictures[place] = image.picture


def _check_shape(image: LabelledImage, shape: Sequence[int], footage: Footage) -> None:
    """Raises: BadFileError for another aspect ratio than the video's: it was not scaled by one factor."""
    if not same_aspect(shape, footage.size):
        turned = " (they look turned by 90°)" if tuple(shape[::-1]) == footage.size else ""
        raise BadFileError(
            image.name,
            f"its labels have {size_text(shape)} px, the frames of {footage.name} {size_text(footage.size)}: "
            f"not the same aspect ratio{turned}",
        )


def _nameless(videos: Iterable[str]) -> str:
    names = " or ".join(f"{name}_NNNNNN" for name in sorted(videos)[:3])
    return f"its name tells no frame of the videos: it must end in {names}, NNNNNN counted from 0"
