"""Label Studio's JSON and JSON-MIN, with brushes, polygons, rectangles and ellipses.

Later regions cover earlier ones, and the last annotation of a task counts. Lengths are percent of the image.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import numpy as np

from taf_keras.errors import BadFileError
from taf_keras.label_formats import label_studio_png
from taf_keras.label_formats.brush import brush_mask
from taf_keras.label_formats.export import Export, as_written, class_name, image_size
from taf_keras.label_formats.open_export import PICTURES, read_json
from taf_keras.label_formats.pictures import no_mask_folders
from taf_keras.label_formats.shapes import Mask, draw, ellipse, png_mask, polygon, turned
from taf_keras.sizes import Size

TOOL = "Label Studio"


def is_label_studio(content) -> bool:
    """A list of tasks, each with its annotations or, in JSON-MIN, with their results."""
    if not isinstance(content, list) or not content or not isinstance(content[0], dict):
        return False
    return "annotations" in content[0] or any(_is_results(value) for value in content[0].values())


def _is_results(value) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and isinstance(value[0], dict)
        and "original_width" in value[0]
    )


def read(paths: list[Path], folder: Path) -> Export:
    """Args: paths: JSON files; folder: where the images or PNG files may be."""
    export, tasks = Export({}), []
    for path in paths:
        for task in read_json(path):
            try:
                with as_written(path.name, TOOL):
                    tasks.append((task.get("id"), _image_of(task), _regions(task, export)))
            except BadFileError as error:
                export.left_out.append(error)
    if not any(regions for _, _, regions in tasks) and label_studio_png.paths(folder):
        return label_studio_png.read(folder, {str(number): image for number, image, _ in tasks})
    names = {class_name(label, image) for _, image, regions in tasks for label, _ in regions}
    export.classes = dict.fromkeys(sorted(names))
    positions = {name: i for i, name in enumerate(export.classes)}
    pictures = no_mask_folders(folder)
    for _, image, regions in tasks:
        if not regions:
            export.said["image without a drawn label: not used"] += 1
            continue
        export.add(image, partial(_label_map, image, regions, positions), pictures.of(image))
    return export


def _image_of(task: dict) -> str:
    """The file's name, without the address that it is served from, in whose query it may stand."""
    values = [task.get("file_upload"), *task.get("data", task).values()]
    for value in (value for value in values if isinstance(value, str)):
        for text in (value.partition("?")[0], value):
            name = PurePosixPath(re.split(r"[/\\=?&]", unquote(text))[-1])
            if name.suffix.lower() in PICTURES:
                return name.name
    raise ValueError(f"task {task.get('id')} has no image")


def _regions(task: dict, export: Export) -> list[tuple[str, dict]]:
    """(label, its value) of each region that is drawn."""
    if "annotations" in task:
        kept = [a for a in task["annotations"] if not a.get("was_cancelled")]
        if len(kept) > 1:
            export.said["further annotation of an image, but the last: not used"] += len(kept) - 1
        results = (
            [{**result, **result["value"]} for result in kept[-1]["result"] if "value" in result]
            if kept
            else []
        )
    else:
        results = [result for value in task.values() if _is_results(value) for result in value]
    labels: dict[str, str] = {}
    for number, result in enumerate(results):
        result.setdefault("id", str(number))
        named = [value for key, value in result.items() if key.endswith("labels") and value]
        if named:
            labels[result["id"]] = named[0][0]
    regions = []
    for result in results:
        drawn = {"rle", "points", "radiusX", "imageDataURL"} & set(result) or {"x", "width", "height"} <= set(
            result
        )
        if drawn and result["id"] in labels:
            regions.append((labels[result["id"]], result))
        elif drawn:
            export.said["region without a label: not used"] += 1
    return regions


def _label_map(image: str, regions: list[tuple[str, dict]], positions: Mapping[str, int]) -> np.ndarray:
    with as_written(image, TOOL):
        first = regions[0][1]
        size = image_size(first["original_height"], first["original_width"])
        shapes = []
        for label, value in regions:
            if value.get("image_rotation"):
                raise ValueError(f"it is turned by {value['image_rotation']}°; label it as it is")
            shapes.append((positions[" ".join(label.split())], _mask(value, size)))
        return draw(size, shapes)


def _mask(value: dict, size: Size) -> Mask:
    if "rle" in value:
        return Mask(0, 0, brush_mask(bytes(value["rle"]), size))
    if "imageDataURL" in value:
        return Mask(0, 0, png_mask(base64.b64decode(value["imageDataURL"].partition(",")[2])))
    scale = np.array([size[1], size[0]]) / 100
    if "points" in value:
        return polygon(size, np.array(value["points"], np.float64) * scale)
    corner, degrees = np.array([value["x"], value["y"]]) * scale, float(value.get("rotation") or 0)
    if "radiusX" in value:
        radius = np.array([value["radiusX"], value["radiusY"]]) * scale
        return ellipse(size, *corner, *radius, degrees)
    width, height = np.array([value["width"], value["height"]]) * scale
    corners = corner + np.array([(0, 0), (width, 0), (width, height), (0, height)])
    return polygon(size, turned(corners, degrees, corner))
