"""Roboflow's 'Semantic Segmentation Masks': NAME_mask.png beside each image, and _classes.csv.

Value 0 is `background`, which Roboflow adds itself: what nobody has labelled.
"""

from __future__ import annotations

import csv
from pathlib import Path

from taf_keras.errors import UserError
from taf_keras.label_formats import picture_masks
from taf_keras.label_formats.export import UNLABELLED, Export, class_name
from taf_keras.label_formats.open_export import PICTURES, files, read_text
from taf_keras.label_formats.pictures import Pictures

TABLE = "_classes.csv"
_MASK = "_mask.png"


def read(folder: Path) -> Export:
    """Each of the folders train, valid and test has a table of its own."""
    tables = {path.parent: _table(path) for path in files(folder, {".csv"}) if path.name == TABLE}
    export = Export(dict.fromkeys(name for table in tables.values() for name in table.values() if name))
    names = list(export.classes)
    images = (path for path in files(folder, PICTURES) if not path.name.endswith(_MASK))
    pictures = Pictures(folder, images)
    for path in files(folder, {".png"}):
        if path.name.endswith(_MASK) and path.parent in tables:
            table = tables[path.parent]
            ids = {value: names.index(name) if name else UNLABELLED for value, name in table.items()}
            image = path.name.removesuffix(_MASK)
            place = path.relative_to(folder).with_name(f"{image}.png").as_posix()
            export.add(f"{image}.png", picture_masks.reader(path, names, ids), pictures.of(place))
    if not export.images:
        raise UserError(f"{folder.name}: {TABLE} has no masks beside it, NAME{_MASK}")
    return export


def _table(path: Path) -> dict[int, str]:
    """Value in masks -> class; empty for what nobody has labelled."""
    found = {}
    for line, row in enumerate(csv.reader(read_text(path).splitlines()), 1):
        cells = [cell.strip() for cell in row]
        if line == 1 or not any(cells):
            continue
        if len(cells) != 2 or not cells[0].isdecimal() or int(cells[0]) > 255:
            raise UserError(f"{path.name}:{line}: must be a value, 0 to 255, and a class")
        name = class_name(cells[1], f"{path.name}:{line}")
        found[int(cells[0])] = "" if (cells[0], name.lower()) == ("0", "background") else name
    return found
