"""A small video of a street, the stills of it, and their labels as CVAT exports masks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np

from taf_keras import import_labels

SIZE = HEIGHT, WIDTH = 48, 72
FRAMES = 120
CLASSES = {"road": (128, 64, 128), "car": (0, 0, 142)}


def picture(index: int) -> np.ndarray:
    """BGR frame `index`: waves that move, so that no two frames look alike, and the label's shapes."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    grey = 128 + 50 * np.sin((x + 2 * index) / 9) + 40 * np.cos((y + x / 3 - 2 * index) / 7)
    image = np.stack([grey, 255 - grey, grey / 2 + y], axis=-1)
    image[label(index) == 1] = 20
    return image.clip(0, 255).astype(np.uint8)


def label(index: int) -> np.ndarray:
    """0 is not labelled, 1 a car, 2 the road."""
    ids = np.zeros(SIZE, np.uint8)
    ids[24:] = 2
    left = 4 + index % 40
    ids[16:32, left : left + 20] = 1
    return ids


def write_video(path: Path, frames: Iterable[int] = range(FRAMES), scale: int = 1) -> Path:
    size = (WIDTH * scale, HEIGHT * scale)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"FFV1"), 30, size)
    for index in frames:
        writer.write(cv2.resize(picture(index), size, interpolation=cv2.INTER_NEAREST))
    writer.release()
    return path


def write_still(path: Path, index: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture(index))
    return path


def write_masks(folder: Path, labels: Mapping[str, np.ndarray], classes=CLASSES) -> Path:
    """CVAT's Segmentation mask 1.1: ids are 1 for the last class, 2 for the one before it, …"""
    (folder / "SegmentationClass").mkdir(parents=True, exist_ok=True)
    lines = [f"{name}:{','.join(map(str, colour))}::" for name, colour in classes.items()]
    (folder / "labelmap.txt").write_text("background:0,0,0::\n" + "\n".join(lines))
    palette = np.uint8([(0, 0, 0), *reversed(classes.values())])
    for name, ids in labels.items():
        cv2.imwrite(str(folder / "SegmentationClass" / f"{name}.png"), palette[ids][..., ::-1])
    return folder


def street_masks(folder: Path, numbers: Iterable[int], video: str = "street") -> Path:
    return write_masks(folder, {f"{video}_{number:06d}": label(number) for number in numbers})


def run(*arguments) -> int:
    """The exit code."""
    try:
        import_labels.main([*map(str, arguments)])
    except SystemExit as ended:
        return ended.code
    return 0


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
