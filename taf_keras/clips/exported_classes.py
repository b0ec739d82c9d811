"""What lies beside an exported model: its class table, and the size of the frames that it was trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from taf_keras.clips.clip import ClassTable
from taf_keras.errors import UserError, first_line
from taf_keras.files import write_json
from taf_keras.sizes import Size

CLASSES_FILE = Path("assets.extra", "classes.json")  # TensorFlow sets this folder aside for such files


def write_classes(model: Path, classes: ClassTable, size: Size | None) -> None:
    """Writes CLASSES_FILE of an export.

    Args:
        size: (height, width) of the frames that it was trained on, px; None where nobody knows.
    """
    (model / CLASSES_FILE).parent.mkdir(exist_ok=True)
    known = {"image_size": size} if size else {}
    write_json(model / CLASSES_FILE, {"names": classes.names, "colours": classes.colours} | known)


def load_classes(model: Path) -> ClassTable:
    """The class table of an export. Raises: UserError where it is damaged."""
    return _load(model)[0]


def load_trained_size(model: Path) -> Size | None:
    """(height, width) of the frames that it was trained on, px; None of an export that does not say.

    Raises: UserError where the file is damaged.
    """
    return _load(model)[1]


def _load(model: Path) -> tuple[ClassTable, Size | None]:
    path = model / CLASSES_FILE
    try:
        values = json.loads(path.read_text())
        colours = np.array(values["colours"], np.uint8)
        if colours.shape != (len(values["names"]), 3):
            raise ValueError("needs one colour, three numbers, for each name")
        size = values.get("image_size")
        if size is not None and not (len(size) == 2 and all(type(n) is int and n > 0 for n in size)):
            raise ValueError("image_size must be two numbers of pixels, height and width")
    except (OSError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
        raise UserError(f"{path}: missing or damaged: {first_line(error)}") from None
    table = ClassTable(tuple(map(str, values["names"])), tuple(map(tuple, colours.tolist())))
    return table, size and tuple(size)
