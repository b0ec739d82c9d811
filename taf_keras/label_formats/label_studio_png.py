"""Label Studio's PNG files of brushes: one for each label of an annotation, white where it was painted.

They name tasks, not images: which image a task has is told by a JSON export in the same folder. The last
annotation of a task counts.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from taf_keras.errors import BadFileError, UserError
from taf_keras.label_formats.export import Export, as_written, class_name
from taf_keras.label_formats.open_export import files
from taf_keras.label_formats.shapes import Mask, draw, png_mask

_NAME = re.compile(r"task-(\d+)-annotation-(\d+)-by-[^-]*-[^-]+-(.+)-\d+\.png")


def paths(folder: Path) -> list[Path]:
    """The files that are named so."""
    return [path for path in files(folder, {".png"}) if _NAME.fullmatch(path.name)]


def read(folder: Path, images: Mapping[str, str]) -> Export:
    """The labels of the files. `images` has the name of each task's image."""
    painted: dict[str, dict[int, list]] = defaultdict(lambda: defaultdict(list))
    for path in paths(folder):
        task, annotation, label = _NAME.fullmatch(path.name).groups()
        painted[task][int(annotation)].append((class_name(label, path.name), path))
    names = {label for of_task in painted.values() for layers in of_task.values() for label, _ in layers}
    export = Export(dict.fromkeys(sorted(names)))
    positions = {name: i for i, name in enumerate(export.classes)}
    for task, of_task in painted.items():
        if task not in images:
            export.left_out.append(
                BadFileError(f"task {task}", "no JSON beside its PNG files tells its image")
            )
            continue
        export.add(images[task], partial(_painted, of_task[max(of_task)], positions))
    return export


def _painted(layers: list[tuple[str, Path]], positions: Mapping[str, int]) -> np.ndarray:
    shapes = []
    for label, path in layers:
        with as_written(path.name, "Label Studio"):
            shapes.append((positions[label], Mask(0, 0, png_mask(path.read_bytes()))))
    return draw(shapes[0][1].pixels.shape, shapes)


def refuse_alone(folder: Path) -> None:
    """Raises: UserError for a folder of such files: no JSON explains them."""
    if paths(folder):
        raise UserError(
            f"{folder.name}: Label Studio's PNG files name tasks, not images: export JSON too, and put it "
            "beside them"
        )
