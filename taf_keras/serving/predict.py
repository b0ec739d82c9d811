"""Segments images with an exported model: `python -m taf_keras.serving.predict --model=EXPORT IMAGE…`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np

from taf_keras.clips.clip import ClassTable
from taf_keras.clips.decode import read_image
from taf_keras.errors import UserError, first_line
from taf_keras.evaluation.pictures import colourise
from taf_keras.progress import Progress

_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
_OVERLAY = 0.5  # share of the class colour in the overlay


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


def predict_files(model: str, images: list[str], output_dir: str) -> list[Path]:
    """Writes for each image NAME_labels.png (train ids, 8 bit) and NAME_overlay.png (classes over it).

    Args:
        model: folder of an exported model.
        images: image files, or folders of them.
        output_dir: made if it does not exist.
    Returns: the files written.
    Raises: UserError for a folder without a model, or an image that cannot be read.
    """
    files = _images(images)
    from taf_keras.evaluation.evaluate import saved_model_predictor  # after the checks that need no time

    predict = saved_model_predictor(model)
    classes = load_classes(Path(model))
    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with Progress("segmenting") as progress:
        for done, file in enumerate(files, 1):
            image = read_image(str(file))
            labels = predict(image[None])[0].astype(np.uint8)
            colours = colourise(labels, classes)
            overlay = cv2.addWeighted(colours, _OVERLAY, image, 1 - _OVERLAY, 0)
            for suffix, pixels in (("labels", labels), ("overlay", cv2.cvtColor(overlay, cv2.COLOR_RGB2BGR))):
                path = folder / f"{file.stem}_{suffix}.png"
                if not cv2.imwrite(str(path), pixels):
                    raise UserError(f"{path}: cannot be written")
                written.append(path)
            progress(done, len(files))
    return written


def _images(sources: list[str]) -> list[Path]:
    files = []
    for source in map(Path, sources):
        if source.is_dir():
            found = sorted(p for p in source.iterdir() if p.suffix.lower() in _IMAGE_SUFFIXES)
            if not found:
                raise UserError(f"{source}: holds no images ({', '.join(_IMAGE_SUFFIXES)})")
            files += found
        elif source.is_file():
            files.append(source)
        else:
            raise UserError(f"{source}: no such image or folder")
    return files


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m taf_keras.serving.predict", description=__doc__)
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files, or folders of them")
    parser.add_argument("--model", required=True, help="folder of an exported model (MODEL_DIR/export)")
    parser.add_argument("--output_dir", default="predictions", help="where the pictures go (%(default)s)")
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        written = predict_files(options.model, options.images, options.output_dir)
    except UserError as error:
        sys.exit(f"error: {error}")
    print(f"wrote {len(written)} files to {options.output_dir}, such as {written[-1].name}")


if __name__ == "__main__":
    main()
