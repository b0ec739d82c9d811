"""The classes' colours over an image."""

from __future__ import annotations

import cv2
import numpy as np

from taf_keras.clips.clip import ClassTable
from taf_keras.evaluation.pictures import colourise

_SHARE = 0.5  # of the class colour


class Overlay:
    """Paints label maps over images, RGB or BGR.

    Args:
        bgr: what the images are, and what is painted.
    """

    def __init__(self, classes: ClassTable, bgr: bool = False):
        palette = colourise(np.arange(256)[None], classes)  # (1, 256, 3)
        self.palette = np.ascontiguousarray(palette[..., ::-1] if bgr else palette)

    def __call__(self, image: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """uint8 (height, width, 3) of an image and its train ids, uint8 (height, width)."""
        colours = cv2.LUT(cv2.merge([labels] * 3), self.palette)
        return cv2.addWeighted(colours, _SHARE, image, 1 - _SHARE, 0)
