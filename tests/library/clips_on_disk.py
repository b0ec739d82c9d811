"""A small data set of one's own on disk, for the library's examples: streets with cars that move."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

SIZE = (96, 128)
CONTEXT = 2  # frames on either side of a labelled one


def write_clips(folder: Path) -> Path:
    """train.csv with three clips of five frames and val.csv with two; the middle frame has the label."""
    (folder / "files").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for split, count in (("train", 3), ("val", 2)):
        rows = ["clip,frame,image,label"]
        for clip in range(count):
            left, colour = rng.integers(10, 60), rng.integers(120, 256, 3)
            for number in range(2 * CONTEXT + 1):
                name = f"files/{split}{clip}_{number}"
                label = np.zeros(SIZE, np.uint8)
                label[40:80, left + 4 * number : left + 4 * number + 40] = 1
                image = np.where(label[..., None] == 1, colour, 60) + rng.integers(-20, 20, (*SIZE, 3))
                cv2.imwrite(str(folder / f"{name}.png"), image.astype(np.uint8))
                labelled = number == CONTEXT
                if labelled:
                    cv2.imwrite(str(folder / f"{name}_label.png"), label)
                rows.append(f"{split}{clip},{number},{name}.png," + f"{name}_label.png" * labelled)
        (folder / f"{split}.csv").write_text("\n".join(rows))
    classes = [{"name": "road", "colour": [128, 64, 128]}, {"name": "car", "colour": [0, 0, 142]}]
    (folder / "classes.json").write_text(json.dumps({"classes": classes}))
    return folder
