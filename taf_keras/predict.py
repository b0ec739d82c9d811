"""Segments images with an exported model.

    python -m taf_keras.predict --model=RUN/export IMAGE… --output_dir=predictions

IMAGE is an image file, or a folder of them; folders within a folder are not searched. Images are taken as
training takes them: 8-bit RGB or grey, turned as their Exif orientation says, without an alpha channel if
that is the same everywhere.

Each image STEM.SUFFIX has two results: STEM_labels.png (train ids, 8 bit) and STEM_overlay.png (the classes'
colours over the image). Images of several folders keep their folders below the one that all share, as in
VIDEO1/000001_labels.png. Images of one folder that differ in the suffix alone keep it: a.jpg_labels.png.
Results carry a mark: they replace nothing but earlier results, and are never taken for images.

Exit code: 0 all images are segmented, 1 some are not and are named at the end, 2 nothing could be done,
130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from taf_keras.clips.clip import ClassTable
from taf_keras.clips.decode import read_checked_image
from taf_keras.devices import out_of_memory, prepare
from taf_keras.errors import BadFileError, UserError, first_line
from taf_keras.evaluation.pictures import colourise
from taf_keras.progress import Progress
from taf_keras.serving.picture_files import (
    find_pictures,
    prepare_folder,
    result_names,
    result_path,
    write_result,
)

_OVERLAY = 0.5  # share of the class colour in the overlay


@dataclass
class Predicted:
    """What became of the images.

    Attributes:
        written: the files written.
        refused: the images that could not be read.
        dim: images without a value above 1.
        skipped: what was no image -> how many, as in `Pictures`.
    """

    written: list[Path] = field(default_factory=list)
    refused: list[BadFileError] = field(default_factory=list)
    dim: list[Path] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)


def load_classes(model: Path) -> ClassTable:
    """The class table that `export_model` wrote beside the model. Raises: UserError where it is damaged."""
    path = model / "assets.extra" / "classes.json"
    try:
        values = json.loads(path.read_text())
        colours = np.array(values["colours"], np.uint8)
        if colours.shape != (len(values["names"]), 3):
            raise ValueError("needs one colour, three numbers, for each name")
    except (OSError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
        raise UserError(f"{path}: missing or damaged: {first_line(error)}") from None
    return ClassTable(tuple(map(str, values["names"])), tuple(map(tuple, colours.tolist())))


def predict_files(model: str, images: list[str], output_dir: str) -> Predicted:
    """Writes for each image NAME_labels.png (train ids, 8 bit) and NAME_overlay.png (classes over it).

    Args:
        model: folder of an exported model.
        images: image files, or folders of them.
        output_dir: made if it does not exist.
    Raises: UserError, before the first file is written, for a folder without a model, an image that does
        not exist, or results that would replace each other or other files; UserError where a result
        cannot be written. An image that cannot be read is no error, but `refused`.
    """
    pictures = find_pictures(images)
    names = result_names(pictures.files)
    _require_export(Path(model))
    classes = load_classes(Path(model))
    folder = Path(output_dir)
    prepare_folder(folder, names)
    from taf_keras.evaluation.evaluate import saved_model_predictor  # after the checks that need no time

    prepare()
    predict = saved_model_predictor(model)
    found = Predicted(skipped=pictures.skipped)
    with Progress("segmenting") as progress, out_of_memory("smaller images need less"):
        for done, (file, name) in enumerate(zip(pictures.files, names, strict=True), 1):
            try:
                image = read_checked_image(str(file))
            except BadFileError as error:
                found.refused.append(error)
            else:
                if image.max() <= 1:
                    found.dim.append(file)
                labels = predict(image[None])[0].astype(np.uint8)
                for result, pixels in (("labels", labels), ("overlay", _overlay(image, labels, classes))):
                    write_result(path := result_path(folder, name, result), pixels)
                    found.written.append(path)
            progress(done, len(names))
    return found


def _overlay(image: np.ndarray, labels: np.ndarray, classes: ClassTable) -> np.ndarray:
    """The classes' colours over the image, uint8 BGR as OpenCV writes it."""
    overlay = cv2.addWeighted(colourise(labels, classes), _OVERLAY, image, 1 - _OVERLAY, 0)
    return cv2.cvtColor(overlay, cv2.COLOR_RGB2BGR)


def _require_export(model: Path) -> None:
    """Raises: UserError for a folder without an exported model; TensorFlow would say so in seconds."""
    if not (model / "saved_model.pb").is_file():
        inner = model / "export"
        hint = f": give --model={inner}" if (inner / "saved_model.pb").is_file() else ""
        raise UserError(f"--model={model}: holds no exported model (saved_model.pb){hint}")


def _report(found: Predicted, output_dir: str) -> int:
    """Prints what became of the images. Returns: the exit code."""
    for error in found.refused:
        print(f"not segmented: {error}", file=sys.stderr)
    if found.dim:
        print(
            f"warning: {_counted(len(found.dim), 'image')} without a value above 1, where 255 is white, "
            f"such as {found.dim[0]}: floats in [0, 1], or label maps?",
            file=sys.stderr,
        )
    refused = _counted(len(found.refused), "image")
    if not found.written:
        raise UserError(f"nothing was segmented: {refused} could not be read")
    example = found.written[-1].relative_to(output_dir)
    parts = [f"wrote {len(found.written)} files to {output_dir}, such as {example}"]
    if found.refused:
        parts.append(f"{refused} not segmented")
    if found.skipped:
        parts.append("skipped " + ", ".join(_counted(count, what) for what, count in found.skipped.items()))
    print("; ".join(parts))
    return 1 if found.refused else 0


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count != 1 else ''}"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):  # argparse would print the usage before the message
        raise UserError(f"{message} (--help lists all arguments)")


def main(arguments: list[str] | None = None) -> None:
    sys.stdout.reconfigure(errors="backslashreplace")  # names of files may hold anything
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    parser = _Parser(
        prog="python -m taf_keras.predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files, or folders of them")
    parser.add_argument("--model", required=True, help="folder of an exported model (MODEL_DIR/export)")
    parser.add_argument("--output_dir", default="predictions", help="where the results go (%(default)s)")
    try:
        options = parser.parse_args(arguments)
        found = predict_files(options.model, options.images, options.output_dir)
        code = _report(found, options.output_dir)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    if code:
        sys.exit(code)


if __name__ == "__main__":
    main()
