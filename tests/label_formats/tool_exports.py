"""One small street as each annotation tool exports it.

Every frame has a road over the lower half, with a manhole in it that nobody labelled where the format knows
holes, and a car that covers a part of the road. What is above is not labelled.

They are written by hand, after the tools' documentation, but for what pycocotools compresses. What the tools'
own packages write (datumaro 1.13 for CVAT, labelme 6.3, label-studio-converter 0.0.59) was read as well.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

SIZE = HEIGHT, WIDTH = 48, 72
CLASSES = {"road": (128, 64, 128), "car": (0, 0, 142)}
UNLABELLED = 254


def car_box(number: int) -> tuple[int, int, int, int]:
    """left, top, right, bottom, px."""
    left = 4 + number % 40
    return left, 16, left + 20, 32


def road_outline() -> list[tuple[int, int]]:
    return [(0, 24), (WIDTH, 24), (WIDTH, HEIGHT), (0, HEIGHT)]


def box_outline(left: int, top: int, right: int, bottom: int) -> list[tuple[int, int]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


MANHOLE = (50, 38, 58, 44)  # of tools that have holes


def label(number: int, hole: bool = False) -> np.ndarray:
    """What the shapes mean: 0 road, 1 car, 254 not labelled."""
    ids = np.full(SIZE, UNLABELLED, np.uint8)
    ids[24:] = 0
    if hole:
        ids[38:44, 50:58] = UNLABELLED
    left, top, right, bottom = car_box(number)
    ids[top:bottom, left:right] = 1
    return ids


def car_mask(number: int) -> np.ndarray:
    return label(number) == 1


def road_mask(hole: bool = False) -> np.ndarray:
    """The whole road, under the car too."""
    mask = np.zeros(SIZE, np.uint8)
    mask[24:] = 1
    if hole:
        mask[38:44, 50:58] = 0
    return mask


def colours(number: int) -> np.ndarray:
    """uint8 BGR (height, width, 3); black is not labelled."""
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(CLASSES)] = list(CLASSES.values())
    return palette[label(number)][..., ::-1]


def still(number: int) -> str:
    return f"street_{number:06d}"


def run_lengths(mask: np.ndarray, order: str = "C") -> list[int]:
    """Of pixels outside and inside, in turns; the first count is of those outside, and may be 0."""
    flat = np.concatenate([[0], np.asarray(mask, np.int8).ravel(order), [-1]])
    return np.diff(np.flatnonzero(np.diff(flat) != 0), prepend=0).tolist()


def write(path: Path, content) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, np.ndarray):
        cv2.imwrite(str(path), content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


# --- By the documentation of the tools ---


def cvat_masks(folder: Path, numbers) -> Path:
    """CVAT, Segmentation mask 1.1: docs.cvat.ai, 'Segmentation mask'."""
    lines = [f"{name}:{','.join(map(str, colour))}::" for name, colour in CLASSES.items()]
    write(folder / "labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\n" + "\n".join(lines))
    write(folder / "ImageSets/Segmentation/default.txt", "\n".join(map(still, numbers)))
    for number in numbers:
        write(folder / f"SegmentationClass/{still(number)}.png", colours(number))
        write(folder / f"SegmentationObject/{still(number)}.png", colours(number))
    return folder


def camvid(folder: Path, numbers) -> Path:
    """CVAT, CamVid 1.0: docs.cvat.ai, 'CamVid'."""
    table = {"background": (0, 0, 0)} | CLASSES
    lines = [" ".join(map(str, [*colour, name])) for name, colour in table.items()]
    write(folder / "label_colors.txt", "\n".join(lines))
    names = [f"/default/{still(n)}.png /defaultannot/{still(n)}.png" for n in numbers]
    write(folder / "default.txt", "\n".join(names))
    for number in numbers:
        write(folder / f"defaultannot/{still(number)}.png", colours(number))
    return folder


def _xml(tag: str, inner: str = "", **attributes) -> str:
    return f"<{tag}{''.join(f' {name}={str(value)!r}' for name, value in attributes.items())}>{inner}</{tag}>"


def _polygon(outline, **attributes) -> str:
    points = ";".join(f"{x:.2f},{y:.2f}" for x, y in outline)
    return _xml("polygon", source="manual", occluded=0, points=points, **attributes)


def _mask(mask: np.ndarray, **attributes) -> str:
    """The run lengths of the part within the mask's bounds."""
    (top, left), (bottom, right) = np.argwhere(mask).min(axis=0), np.argwhere(mask).max(axis=0) + 1
    rle = ", ".join(map(str, run_lengths(mask[top:bottom, left:right])))
    place = {"left": left, "top": top, "width": right - left, "height": bottom - top}
    return _xml("mask", source="manual", occluded=0, rle=rle, **place, **attributes)


def _annotations(things: list[str], *meta: str) -> str:
    labels = [
        f"<label><name>{name}</name><color>#{bytes(colour).hex()}</color><attributes></attributes></label>"
        for name, colour in CLASSES.items()
    ]
    task = _xml("task", _xml("labels", "".join(labels)))
    head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>'
    return f"{head}{_xml('meta', task + ''.join(meta))}{''.join(things)}</annotations>"


def cvat_xml(folder: Path, numbers, masks: bool = False) -> Path:
    """CVAT for images 1.1: docs.cvat.ai, 'XML annotation format'. The car is first, of a higher z_order."""
    images = []
    for i, number in enumerate([*numbers, 999]):
        if masks:
            car = _mask(car_mask(number), label="car", z_order=1)
            road = _mask(road_mask(hole=True), label="road", z_order=0)
        else:
            car = _polygon(box_outline(*car_box(number)), label="car", z_order=1)
            road = _polygon(road_outline(), label="road", z_order=0)
        drawn = "" if number == 999 else car + road  # an image that nobody has come to
        images.append(_xml("image", drawn, id=i, name=f"{still(number)}.png", width=WIDTH, height=HEIGHT))
    return write(folder / "annotations.xml", _annotations(images))


def cvat_video_xml(folder: Path, numbers) -> Path:
    """CVAT for video 1.1: the same page; a track has a shape on each of its frames, and one where it ends."""
    tracks = []
    for i, (name, outline) in enumerate([("road", lambda _: road_outline()), ("car", _car_outline)]):
        shapes = [_polygon(outline(n), frame=n, keyframe=1, outside=0, z_order=i) for n in numbers]
        shapes.append(_polygon([(1, 1), (2, 1), (2, 2)], frame=max(numbers) + 1, keyframe=1, outside=1))
        tracks.append(_xml("track", "".join(shapes), id=i, label=name, source="manual"))
    size = _xml("original_size", f"<width>{WIDTH}</width><height>{HEIGHT}</height>")
    return write(folder / "annotations.xml", _annotations(tracks, size))


def _car_outline(number: int) -> list[tuple[int, int]]:
    return box_outline(*car_box(number))


def coco(folder: Path, numbers, segmentation=None) -> Path:
    """COCO: cocodataset.org, 'Data format'. The car comes first and is the smaller.

    Args:
        segmentation: bool mask -> what the file holds; None writes polygons.
    """
    images, annotations = [], []
    for i, number in enumerate(numbers, 1):
        name = {"file_name": f"{still(number)}.png", "height": HEIGHT, "width": WIDTH}
        images.append({"id": i, **name})
        shapes = [(2, car_mask(number), box_outline(*car_box(number)))]
        shapes.append((1, road_mask(hole=segmentation is not None), road_outline()))
        for category, mask, outline in shapes:
            drawn = segmentation(mask) if segmentation else [np.array(outline, float).ravel().tolist()]
            annotation = {"id": len(annotations) + 1, "image_id": i, "category_id": category}
            annotations.append(
                {**annotation, "segmentation": drawn, "iscrowd": int(segmentation is not None)}
            )
    categories = [{"id": i, "name": name, "supercategory": ""} for i, name in enumerate(CLASSES, 1)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    return write(folder / "annotations/instances_default.json", content)


def uncompressed(mask: np.ndarray) -> dict:
    return {"counts": run_lengths(mask, "F"), "size": list(mask.shape)}


def compressed(mask: np.ndarray) -> dict:
    """By pycocotools itself."""
    from pycocotools import mask as coco_mask

    encoded = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {"counts": encoded["counts"].decode(), "size": encoded["size"]}


def labelme(folder: Path, numbers) -> Path:
    """LabelMe 5: the JSON of labelme.LabelFile; the car is a rectangle, drawn after the road."""
    for number in numbers:
        left, top, right, bottom = car_box(number)
        common = {"group_id": None, "description": "", "flags": {}, "mask": None}
        shapes = [
            {"label": "road", "points": road_outline(), "shape_type": "polygon", **common},
            {"label": "car", "points": [[left, top], [right, bottom]], "shape_type": "rectangle", **common},
            {"label": "car", "points": [[1, 1]], "shape_type": "point", **common},
        ]
        content = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"..\\{still(number)}.png"}
        content |= {"imageData": None, "imageHeight": HEIGHT, "imageWidth": WIDTH}
        write(folder / f"{still(number)}.json", content)
    write(folder / "labels.txt", "__ignore__\n" + "\n".join(CLASSES))
    return folder


def voc(folder: Path, numbers) -> Path:
    """What labelme2voc writes: SegmentationClass with VOC's palette, and class_names.txt."""
    from PIL import Image

    for number in numbers:
        picture = Image.fromarray(
            np.where(label(number) == UNLABELLED, 0, label(number) + 1).astype(np.uint8), "L"
        )
        picture = Image.frombytes("P", picture.size, picture.tobytes())
        picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
        path = folder / f"SegmentationClass/{still(number)}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    write(folder / "class_names.txt", "_background_\nroad\ncar\n")
    return folder


def plain(folder: Path, numbers) -> Path:
    """Grey masks of ids: 0 road, 1 car, 255 void."""
    for number in numbers:
        ids = label(number)
        ids[ids == UNLABELLED] = 255
        write(folder / f"{still(number)}.png", ids)
    return folder


def roboflow(folder: Path, numbers) -> Path:
    """Roboflow, Semantic Segmentation Masks: its README's table and names."""
    for i, number in enumerate(numbers):
        part = folder / ("valid" if i == 0 else "train")
        ids = label(number)
        name = f"{still(number)}_png.rf.0a1b2c3d4e5f{number:04d}"
        write(part / f"{name}_mask.png", np.where(ids == UNLABELLED, 0, ids + 1).astype(np.uint8))
        write(part / f"{name}.jpg", np.full((*SIZE, 3), number, np.uint8))
        write(part / "_classes.csv", "Pixel Value, Class\n0, background\n1, road\n2, car\n")
    return folder


def packed_bitmap(mask: np.ndarray) -> dict:
    """As supervisely.Bitmap.data_2_base64 does: a PNG with a palette and a transparent 0, zlib, base64."""
    import base64
    import io
    import zlib

    from PIL import Image

    top, left = np.argwhere(mask).min(axis=0).tolist()
    bottom, right = (np.argwhere(mask).max(axis=0) + 1).tolist()
    picture = Image.frombytes(
        "P", (right - left, bottom - top), mask[top:bottom, left:right].astype(np.uint8)
    )
    picture.putpalette([0, 0, 0, 255, 255, 255])
    data = io.BytesIO()
    picture.save(data, format="PNG", transparency=0, optimize=0)
    return {"data": base64.b64encode(zlib.compress(data.getvalue())).decode(), "origin": [left, top]}


def supervisely(folder: Path, numbers) -> Path:
    """Supervisely: docs.supervisely.com, 'Supervisely annotation format'. The road's polygon has a hole."""
    classes = [
        {"title": name, "color": f"#{bytes(colour).hex().upper()}", "shape": "any"}
        for name, colour in CLASSES.items()
    ]
    write(folder / "meta.json", {"classes": classes, "tags": []})
    for number in numbers:
        hole = [list(point) for point in box_outline(*MANHOLE)]
        road = {"points": {"exterior": road_outline(), "interior": [hole]}, "geometryType": "polygon"}
        car = {"bitmap": packed_bitmap(car_mask(number)), "geometryType": "bitmap"}
        objects = [{"classTitle": "road", **road}, {"classTitle": "car", **car}]
        objects.append({"classTitle": "car", "geometryType": "point", "points": {"exterior": [[1, 1]]}})
        size = {"height": HEIGHT, "width": WIDTH}
        content = {"description": "", "tags": [], "size": size, "objects": objects}
        write(folder / f"ds0/ann/{still(number)}.png.json", content)
    return folder


def bits(mask: np.ndarray) -> list[int]:
    """The brush's run lengths by thi.ng's description of rle-pack: blocks of up to 256 equal values."""
    values = np.repeat(mask.astype(np.uint8).ravel() * 255, 4)
    text = f"{len(values):032b}{8 - 1:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
    ends = [*(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    at = 0
    for end in ends:
        while at < end:
            length = min(end - at, 256)
            text += f"110{length - 1:08b}{values[at]:08b}"
            at += length
    text += "0" * (-len(text) % 8)
    return [int(text[i : i + 8], 2) for i in range(0, len(text), 8)]


def _percent(points) -> list[list[float]]:
    return [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in points]


def label_studio(folder: Path, numbers, encode=bits, smallest: bool = False) -> Path:
    """Label Studio: labelstud.io, 'Export annotations' and 'BrushLabels'.

    Args:
        encode: bool mask -> run lengths.
        smallest: write JSON-MIN.
    """
    tasks = []
    for number in numbers:
        size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
        road = {"points": _percent(road_outline()), "closed": True, "polygonlabels": ["road"]}
        car = {"format": "rle", "rle": encode(car_mask(number)), "brushlabels": ["car"]}
        image = f"/data/upload/1/1f2e3d4c-{still(number)}.png"
        if smallest:
            tasks.append({"id": number, "image": image, "tag": [{**road, **size}, {**car, **size}]})
            continue
        result = [
            {
                "id": "a",
                "type": "polygonlabels",
                "from_name": "tag",
                "to_name": "image",
                "value": road,
                **size,
            },
            {"id": "b", "type": "brushlabels", "from_name": "tag", "to_name": "image", "value": car, **size},
        ]
        annotations = [
            {"id": 7, "was_cancelled": False, "result": result[:1]},
            {"id": 8, "was_cancelled": False, "result": result},
            {"id": 9, "was_cancelled": True, "result": result[:1]},
        ]
        tasks.append({"id": number, "data": {"image": image}, "annotations": annotations})
    return write(folder / "project-1.json", tasks)


def label_studio_png(folder: Path, numbers) -> Path:
    """Label Studio's PNG export, by names as label_studio_converter.brush makes them; and the tasks' JSON."""
    tasks = []
    for number in numbers:
        image = f"/data/upload/1/1f2e3d4c-{still(number)}.png"
        tasks.append({"id": number, "data": {"image": image}, "annotations": []})
        for name, mask in (("road", label(number) == 0), ("car", label(number) == 1)):
            write(folder / f"task-{number}-annotation-8-by-1-tag-{name}-0.png", mask.astype(np.uint8) * 255)
    write(folder / "tasks.json", tasks)
    return folder
