"""'CVAT for images 1.1' and 'CVAT for video 1.1': XML with polygons, masks, boxes and ellipses.

Shapes of a higher z_order cover those of a lower one, and of equal ones the later covers the earlier, as CVAT
shows them.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from taf_keras.errors import BadFileError, UserError
from taf_keras.label_formats.export import Colour, Export, as_written, class_name, image_size
from taf_keras.label_formats.open_export import read_xml
from taf_keras.label_formats.pictures import image_folders
from taf_keras.label_formats.shapes import Mask, box, draw, ellipse, polygon, runs
from taf_keras.sizes import Size

TOOL = "CVAT"
_DRAWN = ("polygon", "mask", "box", "ellipse")
_NOT_DRAWN = ("polyline", "points", "cuboid", "skeleton", "tag")
_NUMBERED = re.compile(r"frame_[0-9]+")  # what CVAT calls a frame of a video: no file's name


def read(path: Path, folder: Path | None = None) -> Export:
    """Args: path: the XML file; folder: where its images may be."""
    root = read_xml(path)
    if root.tag != "annotations":
        raise UserError(f"{path.name}: is XML, but not of CVAT: it begins with <{root.tag[:40]}>")
    export = Export(_classes(root, path))
    positions = {name: i for i, name in enumerate(export.classes)}
    pictures = image_folders(folder) if folder else None
    for name, size, shapes in [*_images(root, path, export), *_frames(root, path, export)]:
        export.said.update(f"{shape.tag}: not used" for shape in shapes if shape.tag in _NOT_DRAWN)
        drawn = [shape for shape in shapes if shape.tag in _DRAWN]
        if attributes := sum(len(shape.findall("attribute")) for shape in drawn):
            export.said["attribute: not used"] += attributes
        if not drawn:
            export.said["image without a drawn label: not used"] += 1
            continue
        if boxes := sum(shape.tag in ("box", "ellipse") for shape in drawn):
            export.said["box or ellipse: filled, as in CVAT's own masks"] += boxes
        read_one = partial(_label_map, name, size, drawn, positions)
        export.add(name, read_one, pictures.of(name) if pictures else None)
    return export


def _classes(root: ET.Element, path: Path) -> dict[str, Colour | None]:
    """Those of the task or project; without such a list, those that occur."""
    classes: dict[str, Colour | None] = {}
    for label in root.findall("meta//label"):
        if label.findtext("parent") is None:  # a part of a skeleton has one
            classes[class_name(label.findtext("name"), path.name)] = _colour(label.findtext("color"))
    if not classes:
        found = (element.get("label") for element in root.iter() if element.get("label"))
        classes = dict.fromkeys(class_name(name, path.name) for name in found)
    return classes


def _colour(text: str | None) -> Colour | None:
    try:
        return tuple(bytes.fromhex((text or "").removeprefix("#")))[:3] or None
    except ValueError:
        return None


def _images(root: ET.Element, path: Path, export: Export) -> list[tuple[str, Size, list[ET.Element]]]:
    """(name, size, shapes) of each <image>."""
    images, found = root.findall("image"), []
    _require_one_task([i for i in images if len(i) and _NUMBERED.fullmatch(i.get("name", ""))], path)
    for image in images:
        name = image.get("name") or f"image {image.get('id')}"
        try:
            with as_written(name, TOOL):
                found.append((name, image_size(image.attrib["height"], image.attrib["width"]), list(image)))
        except BadFileError as error:
            export.left_out.append(error)
    return found


def _frames(root: ET.Element, path: Path, export: Export) -> list[tuple[str, Size, list[ET.Element]]]:
    """The same of each frame on which a <track> shows something."""
    tracks = root.findall("track")
    if not tracks:
        return []
    _require_one_task(tracks, path)
    original = root.find("meta//original_size")
    if original is None:
        raise UserError(f"{path.name}: is of a task of images: export it as CVAT for images 1.1")
    shown: dict[int, list[ET.Element]] = defaultdict(list)
    with as_written(path.name, TOOL):
        size = image_size(original.findtext("height"), original.findtext("width"))
        for track in tracks:
            for shape in track:
                if shape.get("outside") != "1":
                    shape.set("label", track.attrib["label"])
                    shown[int(shape.attrib["frame"])].append(shape)
    return [(f"frame_{number:06d}", size, shown[number]) for number in sorted(shown)]


def _require_one_task(elements: Iterable[ET.Element], path: Path) -> None:
    """Frames of a project's tasks have equal names, and the name of no video."""
    tasks = {element.get("task_id") for element in elements}
    if len(tasks) > 1:
        raise UserError(
            f"{path.name}: holds the frames of {len(tasks)} tasks, which may be different videos: "
            "export each task by itself"
        )


def _label_map(name: str, size: Size, shapes: list[ET.Element], positions: Mapping[str, int]) -> np.ndarray:
    with as_written(name, TOOL):
        ordered = sorted(shapes, key=lambda shape: int(shape.get("z_order", 0)))  # stable
        return draw(size, [(_position(s, positions), _mask(s, size)) for s in ordered])


def _position(shape: ET.Element, positions: Mapping[str, int]) -> int:
    label = " ".join(shape.attrib["label"].split())
    if label not in positions:
        raise ValueError(f"label {label!r} is not in its list of labels")
    return positions[label]


def _mask(shape: ET.Element, size: Size) -> Mask:
    of = shape.attrib
    if shape.tag == "polygon":
        return polygon(size, [[float(n) for n in point.split(",")] for point in of["points"].split(";")])
    if shape.tag == "mask":
        height, width = int(of["height"]), int(of["width"])
        counts = [int(count) for count in of["rle"].split(",")]
        return Mask(int(of["top"]), int(of["left"]), runs(counts, image_size(height, width)))
    degrees = float(of.get("rotation", 0))
    if shape.tag == "box":
        return box(size, *(float(of[name]) for name in ("xtl", "ytl", "xbr", "ybr")), degrees)
    return ellipse(size, *(float(of[name]) for name in ("cx", "cy", "rx", "ry")), degrees)
