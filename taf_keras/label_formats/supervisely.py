"""Supervisely: meta.json, and ann/IMAGE.json for each image, with bitmaps, polygons and rectangles.

Later objects cover earlier ones. A bitmap is a PNG, packed with zlib, as base64; its origin is the column and
row of its first pixel. A polygon has an exterior and holes.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from taf_keras.errors import BadFileError, UserError
from taf_keras.label_formats.export import MOST_PIXELS, Colour, Export, as_written, class_name, image_size
from taf_keras.label_formats.open_export import PICTURES, files, read_json
from taf_keras.label_formats.pictures import Pictures
from taf_keras.label_formats.shapes import Mask, box, draw, png_mask, polygon
from taf_keras.sizes import Size

TOOL, META = "Supervisely", "meta.json"
_DRAWN = ("bitmap", "polygon", "rectangle")


def read(folder: Path) -> Export:
    metas = [path for path in files(folder, {".json"}) if path.name == META]
    if not metas:
        raise UserError(f"{folder.name}: has no {META}, which names Supervisely's classes")
    meta = read_json(metas[0])
    with as_written(META, TOOL):
        export = Export({class_name(c["title"], META): _colour(c["color"]) for c in meta["classes"]})
    positions = {name: i for i, name in enumerate(export.classes)}
    pictures = Pictures(folder, (path for path in files(folder, PICTURES) if path.parent.name == "img"))
    for path in files(folder, {".json"}):
        if path.parent.name == "ann":
            try:
                name = (path.relative_to(folder).parent.parent / path.stem).as_posix()
                _add_image(export, path, name, positions, pictures.of(name))
            except BadFileError as error:
                export.left_out.append(error)
    return export


def _colour(text: str) -> Colour:
    red, green, blue = bytes.fromhex(text.removeprefix("#"))[:3]
    return red, green, blue


def _add_image(
    export: Export, path: Path, name: str, positions: Mapping[str, int], picture: Path | None
) -> None:
    content = read_json(path)
    with as_written(path.name, TOOL):
        size = image_size(content["size"]["height"], content["size"]["width"])
        drawn = [thing for thing in content["objects"] if thing["geometryType"] in _DRAWN]
        others = [thing["geometryType"] for thing in content["objects"] if thing not in drawn]
    export.said.update(f"{kind}: not used" for kind in others)
    if not drawn:
        export.said["image without a drawn label: not used"] += 1
        return
    export.add(name, partial(_label_map, path.name, size, drawn, positions), picture)


def _label_map(place: str, size: Size, things: list[dict], positions: Mapping[str, int]) -> np.ndarray:
    with as_written(place, TOOL):
        return draw(
            size, [(positions[" ".join(thing["classTitle"].split())], _mask(thing, size)) for thing in things]
        )


def _mask(thing: dict, size: Size) -> Mask:
    if thing["geometryType"] == "bitmap":
        left, top = thing["bitmap"]["origin"]
        return Mask(int(top), int(left), png_mask(_unpacked(base64.b64decode(thing["bitmap"]["data"]))))
    exterior = thing["points"]["exterior"]
    if thing["geometryType"] == "rectangle":
        (x0, y0), (x1, y1) = exterior
        return box(size, x0, y0, x1, y1)
    return polygon(size, exterior, *thing["points"].get("interior", ()))


def _unpacked(data: bytes) -> bytes:
    """The PNG, of which zlib may yield no more than an image can be large."""
    try:
        return zlib.decompressobj().decompress(data, MOST_PIXELS)
    except zlib.error:
        return data  # it is a PNG already; what is neither is refused as an image
