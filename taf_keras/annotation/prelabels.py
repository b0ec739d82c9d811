"""A model's label maps as annotations that annotation tools take, to be corrected instead of drawn.

coco.json                  COCO instances: one annotation of each class and image, its mask as RLE
cvat/, cvat.zip            CVAT's "Segmentation mask 1.1": labelmap.txt, SegmentationClass/NAME.png and
                           ImageSets/Segmentation/default.txt
cvat_labels.json           the classes, for the "Raw" tab of a new task of CVAT
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from taf_keras.clips.clip import ClassTable
from taf_keras.files import replaced, write_bytes, writes

BACKGROUND = "background"
_BLACK = (0, 0, 0)


def write_prelabels(folder: Path, maps: Iterable[tuple[str, np.ndarray]], classes: ClassTable) -> None:
    """Writes the pre-labels of a set of images in place of those that the folder has.

    Args:
        maps: (file name of the image, class of each pixel as uint8 (height, width)), one after the other.
        classes: of the maps.
    Raises: UserError where a file cannot be written.
    """
    colours = told_apart(classes)
    palette = np.array(colours, np.uint8)
    cvat = folder / "cvat"
    images, annotations = [], []
    with writes(folder):
        shutil.rmtree(cvat, ignore_errors=True)
        for path in (cvat / "SegmentationClass", cvat / "ImageSets" / "Segmentation"):
            path.mkdir(parents=True, exist_ok=True)
    for number, (name, labels) in enumerate(maps, 1):
        height, width = labels.shape
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        annotations += coco_annotations(labels, number, len(annotations) + 1)
        _, data = cv2.imencode(".png", palette[labels][..., ::-1])
        write_bytes(cvat / "SegmentationClass" / f"{Path(name).stem}.png", data.tobytes())
    stems = [Path(image["file_name"]).stem for image in images]
    write_bytes(
        cvat / "ImageSets" / "Segmentation" / "default.txt", "".join(f"{s}\n" for s in stems).encode()
    )
    write_bytes(cvat / "labelmap.txt", labelmap(classes.names, colours).encode())
    with (
        writes(folder),
        replaced(folder / "cvat.zip", sync=False) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for path in sorted(path for path in cvat.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(cvat))
    coco = {
        "info": {"description": "predictions of a model, to be corrected"},
        "licenses": [],
        "categories": [
            {"id": number, "name": name, "supercategory": ""} for number, name in enumerate(classes.names, 1)
        ],
        "images": images,
        "annotations": annotations,
    }
    write_bytes(folder / "coco.json", json.dumps(coco).encode())
    labels = [
        {"name": name, "color": "#{:02x}{:02x}{:02x}".format(*colour), "attributes": []}
        for name, colour in zip(classes.names, colours, strict=True)
    ]
    write_bytes(folder / "cvat_labels.json", (json.dumps(labels, indent=2) + "\n").encode())


def coco_annotations(labels: np.ndarray, image_id: int, first_id: int) -> list[dict]:
    """COCO's annotations of one label map, one for each class that occurs; category ids are class + 1."""
    found = []
    for number in np.unique(labels).tolist():
        mask = labels == number
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        left, top = int(columns[0]), int(rows[0])
        found.append(
            {
                "id": first_id + len(found),
                "image_id": image_id,
                "category_id": number + 1,
                "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask)},
                "area": int(mask.sum()),
                "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
                "iscrowd": 1,  # what COCO calls an annotation that is a mask, not polygons
            }
        )
    return found


def run_lengths(mask: np.ndarray) -> list[int]:
    """COCO's uncompressed RLE of a bool (height, width): lengths of runs by columns, those of False first."""
    flat = np.concatenate([[False], mask.ravel(order="F")])  # an empty run, where the first pixel is True
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate([[0], changes, [mask.size]])).tolist()


def told_apart(classes: ClassTable) -> list[tuple[int, int, int]]:
    """The classes' colours, changed where two share one, or one is the background's black.

    Masks of colours tell classes apart by nothing else.
    """
    taken: set[tuple[int, int, int]] = set()
    found = []
    for name, colour in zip(classes.names, classes.colours, strict=True):
        colour = tuple(map(int, colour))
        while colour in taken or (colour == _BLACK and name != BACKGROUND):
            number = (colour[0] << 16 | colour[1] << 8 | colour[2]) * 5 + 0x4F1BBD
            colour = (number >> 16 & 255, number >> 8 & 255, number & 255)
        taken.add(colour)
        found.append(colour)
    return found


def labelmap(names: Iterable[str], colours: Iterable[tuple[int, int, int]]) -> str:
    """labelmap.txt: NAME:R,G,B:parts:actions; black is the background, which no class of its own needs."""
    lines = dict(zip(names, colours, strict=True))
    if BACKGROUND not in lines:
        lines = {BACKGROUND: _BLACK} | lines
    rows = [f"{name}:{','.join(map(str, colour))}::" for name, colour in lines.items()]
    return "\n".join(["# label:color_rgb:parts:actions", *rows, ""])
