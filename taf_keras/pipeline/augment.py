"""Random scale, crop and flip as one geometric map, shared by both frames and the label of a pair; blur."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from taf_keras.clips.clip import VOID
from taf_keras.pipeline.pairing import Sample
from taf_keras.sizes import Size

PADDING_RGB = (124, 116, 104)  # the ImageNet mean: close to zero after every backbone's preprocessing


@dataclass(frozen=True)
class Geometry:
    """Where each pixel of a training crop comes from.

    Attributes:
        source: (top, left, bottom, right) of the part of the image that the crop shows, px, half open.
        target: the same part's place in the crop before the flip, px; the rest of the crop is padding.
        crop_size: (height, width), px.
        flip: mirror left and right, after everything else.
    """

    source: tuple[int, int, int, int]
    target: tuple[int, int, int, int]
    crop_size: Size
    flip: bool

    @classmethod
    def of(cls, sample: Sample, image_size: Size, crop_size: Size) -> Geometry:
        """Scales the image by `sample.scale` and takes a crop at the sampled position.

        Where the scaled image is smaller than the crop, it lies at that position inside the crop.
        """
        rows = _axis(image_size[0], crop_size[0], sample.scale, sample.crop_y)
        columns = _axis(image_size[1], crop_size[1], sample.scale, sample.crop_x)
        source, target = ((y[0], x[0], y[1], x[1]) for y, x in zip(rows, columns, strict=True))
        return cls(source, target, tuple(crop_size), sample.flip)

    def image(self, image: np.ndarray) -> np.ndarray:
        """uint8 RGB (height, width, 3) -> crop; padding has the mean colour."""
        shrinks = (self.source[2] - self.source[0]) > (self.target[2] - self.target[0])
        return self._warp(image, PADDING_RGB, cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)

    def label(self, label: np.ndarray) -> np.ndarray:
        """uint8 train ids (height, width) -> crop by nearest neighbour; padding is void."""
        return self._warp(label, VOID, cv2.INTER_NEAREST_EXACT)

    def valid(self) -> np.ndarray:
        """bool (height, width): True inside the real image, False in the padding."""
        valid = np.zeros(self.crop_size, bool)
        top, left, bottom, right = self.target
        valid[top:bottom, left:right] = True
        return np.ascontiguousarray(valid[:, ::-1]) if self.flip else valid

    def _warp(self, pixels: np.ndarray, padding, interpolation: int) -> np.ndarray:
        top, left, bottom, right = self.source
        part = pixels[top:bottom, left:right]
        top, left, bottom, right = self.target
        part = cv2.resize(part, (right - left, bottom - top), interpolation=interpolation)
        # By OpenCV: NumPy takes forty times as long to fill and to mirror a colour image.
        margins = (top, self.crop_size[0] - bottom, left, self.crop_size[1] - right)
        crop = cv2.copyMakeBorder(part, *margins, cv2.BORDER_CONSTANT, value=padding)
        return cv2.flip(crop, 1) if self.flip else crop


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """uint8 (height, width, 3) after a Gaussian blur of standard deviation `sigma`, a share of the height."""
    return cv2.GaussianBlur(image, (0, 0), sigma * image.shape[0]) if sigma else image


def rectangle(shares: tuple[float, float, float, float], size: Size) -> np.ndarray:
    """bool (height, width): True inside (top, left, bottom, right), shares of the size."""
    top, left, bottom, right = (round(share * size[i % 2]) for i, share in enumerate(shares))
    inside = np.zeros(size, bool)
    inside[top:bottom, left:right] = True
    return inside


def _axis(image: int, crop: int, scale: float, position: float) -> tuple[tuple[int, int], tuple[int, int]]:
    """One axis: ((source begin, end), (target begin, end)), px.

    Only the part that the crop shows is resampled. Its borders are whole source pixels, so the
    scale in force differs from the sampled one by less than one pixel over the crop.
    """
    scaled = max(1, round(image * scale))
    if scaled <= crop:
        begin = int(position * (crop - scaled + 1))
        return (0, image), (begin, begin + scaled)
    length = min(image, max(1, round(crop / scale)))
    begin = int(position * (image - length + 1))
    return (begin, begin + length), (0, crop)
