"""The class table beside an exported model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from taf_keras.clips.clip import ClassTable
from taf_keras.errors import UserError, first_line

CLASSES_FILE = Path("assets.extra", "classes.json")  # TensorFlow sets this folder aside for such files


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
