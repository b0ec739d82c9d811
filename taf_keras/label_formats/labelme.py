"""LabelMe: a JSON file for each image, with polygons, rectangles, circles and masks; later over earlier.

labels.txt beside them gives the order of the classes; without it they are sorted by name. In it, as
labelme2voc has it, `__ignore__` counts for nothing and `_background_` is what has no label.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import partial
from math import dist
from pathlib import Path, PureWindowsPath

import numpy as np

from taf_keras.clips.clip import VOID
from taf_keras.errors import BadFileError, UserError
from taf_keras.label_formats.export import UNLABELLED, Export, as_written, class_name, image_size
from taf_keras.label_formats.open_export import files, read_json, read_text
from taf_keras.label_formats.shapes import Mask, box, draw, ellipse, png_mask, polygon
from taf_keras.label_formats.voc import IGNORED, TABLES
from taf_keras.sizes import Size

TOOL = "LabelMe"
_DRAWN = ("polygon", "rectangle", "oriented_rectangle", "circle", "mask")


def is_labelme(content) -> bool:
    return isinstance(content, dict) and {"shapes", "imagePath"} <= set(content)


def read(paths: list[Path], folder: Path | None = None) -> Export:
    """Args: paths: the JSON files; folder: that they lie in, where labels.txt may be."""
    export = Export({})
    images, found = [], set()
    for path in paths:
        content = read_json(path)
        try:
            with as_written(path.name, TOOL):
                if not is_labelme(content):
                    raise ValueError("it has no shapes")
                shapes = [
                    shape for shape in content["shapes"] if (shape.get("shape_type") or "polygon") in _DRAWN
                ]
                export.said.update(
                    f"{s['shape_type']}: not used" for s in content["shapes"] if s not in shapes
                )
                size = image_size(content["imageHeight"], content["imageWidth"])
                picture = path.with_name(PureWindowsPath(str(content["imagePath"])).name)
                name = picture.relative_to(folder).as_posix() if folder else picture.name
                found |= {class_name(shape["label"], path.name) for shape in shapes}
        except BadFileError as error:
            export.left_out.append(error)
            continue
        if shapes:
            images.append((path, name, size, shapes, picture if picture.is_file() else None))
        else:
            export.said["image without a drawn label: not used"] += 1
    export.classes = dict.fromkeys(_ordered(found - {IGNORED}, folder))
    positions = {name: i for i, name in enumerate(export.classes)} | {IGNORED: VOID}
    background = positions.get("_background_", UNLABELLED)
    for path, name, size, shapes, picture in images:
        export.add(name, partial(_label_map, path.name, size, shapes, positions, background), picture)
    return export


def _ordered(found: set[str], folder: Path | None) -> list[str]:
    lists = [path for path in files(folder, {".txt"}) if path.name in TABLES] if folder else []
    if not lists:
        return sorted(found)
    listed = [class_name(line, lists[0].name) for line in read_text(lists[0]).splitlines() if line.strip()]
    if unknown := sorted(found - set(listed)):
        raise UserError(f"{lists[0].name}: does not list the label {unknown[0]}, which shapes have")
    return [name for name in listed if name != IGNORED]


def _label_map(
    place: str, size: Size, shapes: list[dict], positions: Mapping[str, int], background: int
) -> np.ndarray:
    with as_written(place, TOOL):
        label = draw(size, [(positions[" ".join(s["label"].split())], _mask(s, size)) for s in shapes])
    label[label == UNLABELLED] = background
    return label


def _mask(shape: dict, size: Size) -> Mask:
    kind, points = shape.get("shape_type") or "polygon", shape["points"]
    if kind in ("polygon", "oriented_rectangle") or (kind == "rectangle" and len(points) == 4):  # its corners
        return polygon(size, points)
    (x0, y0), (x1, y1) = points
    if kind == "circle":  # its centre, and a point on it
        return ellipse(size, x0, y0, *[dist((x0, y0), (x1, y1))] * 2)
    if kind == "rectangle":
        return box(size, x0, y0, x1, y1)
    return Mask(int(y0), int(x0), png_mask(base64.b64decode(shape["mask"])))
