"""Segments image files with an exported model: what `taf_keras.predict` does."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np

from taf_keras.clips.clip import ClassTable
from taf_keras.clips.decode import read_checked_image
from taf_keras.devices import out_of_memory, prepare
from taf_keras.errors import BadFileError, UserError, first_line
from taf_keras.evaluation.pictures import colourise
from taf_keras.progress import Progress
from taf_keras.serving.picture_files import find_pictures, prepare_folder, result_names, write_result

CLASSES_FILE = Path("assets.extra", "classes.json")  # TensorFlow sets this folder aside for such files
_OVERLAY = 0.5  # share of the class colour in the overlay


def predict_files(model: str, images: list[str], output_dir: str) -> bool:
    """Writes for each image NAME_labels.png (train ids, 8 bit) and NAME_overlay.png (classes over it).

    Prints what became of the images: an image that cannot be read is named at the end.

    Args:
        model: folder of an exported model.
        images: image files, or folders of them.
        output_dir: made if it does not exist.
    Returns: whether all images could be read.
    Raises: UserError, before the first file is written, for a folder without a model, an image that does
        not exist, or results that would replace each other or other files; UserError where a result
        cannot be written, or no image can be read.
    """
    files, skipped = find_pictures(images)
    names = result_names(files)
    _require_export(Path(model))
    classes = load_classes(Path(model))
    folder = Path(output_dir)
    prepare_folder(folder, names)
    from taf_keras.evaluation.evaluate import saved_model_predictor  # after the checks that need no time

    prepare()
    predict = saved_model_predictor(model)
    written, refused, dim = [], [], []
    with Progress("segmenting") as progress, out_of_memory("smaller images need less"):
        for done, (file, name) in enumerate(zip(files, names, strict=True), 1):
            try:
                image = read_checked_image(str(file))
            except BadFileError as error:
                refused.append(error)
            else:
                if image.max() <= 1:
                    dim.append(file)
                labels = predict(image[None])[0].astype(np.uint8)
                overlay = cv2.addWeighted(colourise(labels, classes), _OVERLAY, image, 1 - _OVERLAY, 0)
                for result, pixels in (("labels", labels), ("overlay", overlay[..., ::-1])):
                    write_result(path := folder / f"{name}_{result}.png", pixels)
                    written.append(path)
            progress(done, len(names))
    for error in refused:
        print(f"not segmented: {error}", file=sys.stderr)
    if dim:
        print(
            f"warning: {_counted(len(dim), 'image')} without a value above 1, where 255 is white, such as "
            f"{dim[0]}: floats in [0, 1], or label maps?",
            file=sys.stderr,
        )
    if not written:
        raise UserError(f"nothing was segmented: {_counted(len(refused), 'image')} could not be read")
    parts = [f"wrote {len(written)} files to {output_dir}, such as {written[-1].relative_to(folder)}"]
    if refused:
        parts.append(f"{_counted(len(refused), 'image')} not segmented")
    if skipped:
        parts.append("skipped " + ", ".join(_counted(count, what) for what, count in skipped.items()))
    print("; ".join(parts))
    return not refused


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count != 1 else ''}"


def load_classes(model: Path) -> ClassTable:
    """The class table that `export_model` wrote beside the model. Raises: UserError where it is damaged."""
    path = model / CLASSES_FILE
    try:
        values = json.loads(path.read_text())
        colours = np.array(values["colours"], np.uint8)
        if colours.shape != (len(values["names"]), 3):
            raise ValueError("needs one colour, three numbers, for each name")
    except (OSError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
        raise UserError(f"{path}: missing or damaged: {first_line(error)}") from None
    return ClassTable(tuple(map(str, values["names"])), tuple(map(tuple, colours.tolist())))


def _require_export(model: Path) -> None:
    """Raises: UserError for a folder without an exported model; TensorFlow would say so in seconds."""
    if not (model / "saved_model.pb").is_file():
        inner = model / "export"
        hint = f": give --model={inner}" if (inner / "saved_model.pb").is_file() else ""
        raise UserError(f"--model={model}: holds no exported model (saved_model.pb){hint}")
