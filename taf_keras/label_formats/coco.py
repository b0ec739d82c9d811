"""COCO's instances: polygons and run lengths, plain or compressed.

COCO gives overlapping objects no order: smaller ones cover larger ones here, and of equal ones the later
covers the earlier. The polygons of one object are its parts; holes are possible in run lengths alone.
Compressed ones are read with pycocotools, which nothing else needs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from taf_keras.errors import BadFileError, UserError
from taf_keras.label_formats.export import Export, as_written, class_name, image_size
from taf_keras.label_formats.open_export import read_json
from taf_keras.label_formats.pictures import Pictures, no_mask_folders
from taf_keras.label_formats.shapes import Mask, draw, polygon, runs
from taf_keras.sizes import Size

TOOL = "COCO"


def is_coco(content) -> bool:
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= set(content)


def read(paths: list[Path], folder: Path | None = None) -> Export:
    """Args: paths: JSON files, as of several splits; folder: where their images may be."""
    export = Export({})
    pictures = no_mask_folders(folder) if folder else None
    contents = [(path, read_json(path)) for path in paths]
    names = [_categories(path, content) for path, content in contents]
    export.classes = dict.fromkeys(name for of_file in names for name in of_file.values())
    positions = {name: i for i, name in enumerate(export.classes)}
    for (path, content), of_file in zip(contents, names, strict=True):
        by_id = {category: positions[name] for category, name in of_file.items()}
        _add_images(export, path, content, by_id, pictures)
    return export


def _categories(path: Path, content) -> dict:
    """id -> name. Roboflow lists the group of all categories as the first of them."""
    with as_written(path.name, TOOL):
        if any("segments_info" in annotation for annotation in content["annotations"][:1]):
            raise UserError(f"{path.name}: is panoptic COCO; export instances")
        found = {
            category["id"]: class_name(category["name"], path.name) for category in content["categories"]
        }
        groups = {category.get("supercategory") for category in content["categories"]}
        used = {annotation["category_id"] for annotation in content["annotations"]}
        heads = {
            c["id"] for c in content["categories"] if c.get("supercategory") == "none" and c["name"] in groups
        }
        return {key: name for key, name in found.items() if key in used or key not in heads}


def _add_images(export: Export, path: Path, content, positions: Mapping, pictures: Pictures | None) -> None:
    with as_written(path.name, TOOL):
        objects = defaultdict(list)
        for annotation in content["annotations"]:
            if annotation.get("segmentation"):
                objects[annotation["image_id"]].append(annotation)
            else:
                export.said["object that has a box alone: not used"] += 1
        images = [(str(image["file_name"]), image) for image in content["images"]]
    for name, image in images:
        try:
            with as_written(name, TOOL):
                drawn, size = objects.get(image["id"]), image_size(image["height"], image["width"])
        except BadFileError as error:
            export.left_out.append(error)
            continue
        if drawn:
            read_one = partial(_label_map, name, size, drawn, positions)
            export.add(name, read_one, pictures.of(name) if pictures else None)
        else:
            export.said["image without a drawn label: not used"] += 1


def _label_map(name: str, size: Size, objects: list[dict], positions: Mapping) -> np.ndarray:
    with as_written(name, TOOL):
        shapes = []
        for annotation in objects:
            value = positions[annotation["category_id"]]
            masks = _masks(annotation["segmentation"], size)
            shapes.append((sum(int(mask.pixels.sum()) for mask in masks), value, masks))
        shapes.sort(key=lambda shape: -shape[0])  # stable
        return draw(size, [(value, mask) for _, value, masks in shapes for mask in masks])


def _masks(segmentation, size: Size) -> list[Mask]:
    if isinstance(segmentation, list):
        return [polygon(size, np.reshape(part, (-1, 2))) for part in segmentation]
    counts = segmentation["counts"]
    if tuple(segmentation["size"]) != size:
        raise ValueError(f"run lengths of {segmentation['size']} px in an image of {list(size)}")
    pixels = runs(counts, size, "F") if isinstance(counts, list) else _decompressed(counts, size)
    return [Mask(0, 0, pixels)]


def _decompressed(counts: str, size: Size) -> np.ndarray:
    try:
        from pycocotools import mask
    except ImportError:
        raise UserError(
            "compressed run lengths of COCO are read with pycocotools: pip install pycocotools"
        ) from None
    data = counts.encode() if isinstance(counts, str) else counts
    return mask.decode({"size": list(size), "counts": data}).astype(bool)
