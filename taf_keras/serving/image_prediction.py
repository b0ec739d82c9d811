"""Segments image files one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from taf_keras.clips.clip import ClassTable
from taf_keras.clips.decode import read_checked_image, read_image, resized_ids
from taf_keras.errors import BadFileError
from taf_keras.progress import Progress
from taf_keras.serving.frame_source import Selection
from taf_keras.serving.outcome import Outcome
from taf_keras.serving.overlay import Overlay
from taf_keras.serving.result_files import image_results, write_result


def predict_images(
    files: Sequence[Path],
    stems: Sequence[Path],
    predict: Callable,
    classes: ClassTable,
    selection: Selection,
    outcome: Outcome,
) -> None:
    """Writes the label map and the overlay of each image.

    Args:
        stems: the output folder and the name of each, of which the results' names are made.
        predict: uint8 RGB (1, height, width, 3) -> train ids, uint8 (1, height, width).
        selection: has the size at which the network sees the images; the results have their own.
        outcome: gets what becomes of them.
    Raises: UserError where a result cannot be written.
    """
    overlay = Overlay(classes)
    with Progress("segmenting") as progress:
        for done, (file, stem) in enumerate(zip(files, stems, strict=True), 1):
            try:
                image = read_checked_image(str(file))
            except BadFileError as error:
                outcome.images.append(str(error))
            else:
                if image.max() <= 1:
                    outcome.dim.append(file)
                own = image.shape[:2]
                seen = read_image(image, selection.network_size(own))
                labels = resized_ids(predict(seen[None])[0], own)
                pictures = (labels, overlay(image, labels)[..., ::-1])
                for path, pixels in zip(image_results(stem), pictures, strict=True):
                    write_result(path, pixels)
                    outcome.written.append(path)
            progress(done, len(files))
