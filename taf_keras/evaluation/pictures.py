"""Label maps as pictures: image, truth and prediction side by side."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from taf_keras.clips.clip import ClassTable, Split
from taf_keras.clips.decode import read_image, read_label
from taf_keras.evaluation.charts import new_figure, save_chart

_GAP_PX = 4
_MIN_WIDTH_PX = 320  # small images are enlarged to this width, so that a picture can be looked at


def colourise(label: np.ndarray, classes: ClassTable) -> np.ndarray:
    """Train ids (height, width) -> uint8 RGB (height, width, 3) in the class colours; void is black."""
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(classes)] = classes.colours
    return palette[label]


def class_legend(classes: ClassTable) -> list:
    """One patch of matplotlib for each class, in its colour, as the handles of a legend."""
    from matplotlib.patches import Patch

    return [
        Patch(color=np.array(colour) / 255, label=name)
        for name, colour in zip(classes.names, classes.colours, strict=True)
    ]


def panel(image: np.ndarray, label: np.ndarray, prediction: np.ndarray, classes: ClassTable) -> np.ndarray:
    """Image, truth and prediction beside each other, uint8 RGB."""
    gap = np.full((image.shape[0], _GAP_PX, 3), 255, np.uint8)
    return np.hstack([image, gap, colourise(label, classes), gap, colourise(prediction, classes)])


def predict_panel(predict, split: Split, index: int, image_size) -> np.ndarray:
    """The panel of one key frame of the split."""
    frame = split.clips[index].key_frame
    image = read_image(frame.image, image_size)
    label = read_label(frame.label, split.classes, image_size)
    return panel(image, label, predict(image[None])[0], split.classes)


def write_pictures(
    folder: Path, predict, split: Split, matrices: np.ndarray, image_size, count: int = 3
) -> list[Path]:
    """Writes best.png, median.png and worst.png: `count` frames each, by pixel accuracy, with a legend.

    Args:
        matrices: confusion matrices of the frames, (frames, classes, classes).
    """
    totals = matrices.sum(axis=(1, 2))
    accuracy = np.trace(matrices, axis1=1, axis2=2) / np.maximum(totals, 1)
    order = [i for i in np.argsort(-accuracy, kind="stable") if totals[i] > 0]
    if not order:
        return []
    middle = max(0, (len(order) - count) // 2)
    chosen = {
        "best": order[:count],
        "median": order[middle : middle + count],
        "worst": order[::-1][:count],
    }
    written = []
    for name, indices in chosen.items():
        panels = [predict_panel(predict, split, i, image_size) for i in indices]
        height, width = panels[0].shape[:2]
        size = (12, len(panels) * (12 * height / width + 0.4) + 0.9)
        figure, axes = new_figure(len(panels), 1, figsize=size, squeeze=False)
        for axis, picture, i in zip(axes[:, 0], panels, indices, strict=True):
            title = f"{split.clips[i].name}: pixel accuracy {accuracy[i]:.1%} (image, truth, prediction)"
            axis.imshow(enlarged(picture))
            axis.set_title(title, fontsize=10)
            axis.axis("off")
        legend = class_legend(split.classes)
        figure.legend(handles=legend, loc="outside lower center", ncols=6, fontsize=9, frameon=False)
        written.append(save_chart(figure, folder / f"{name}.png", dpi=90))
    return written


def enlarged(picture: np.ndarray) -> np.ndarray:
    """The picture, enlarged by a whole factor to three times `_MIN_WIDTH_PX` or more."""
    factor = max(1, -(-3 * _MIN_WIDTH_PX // picture.shape[1]))
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
