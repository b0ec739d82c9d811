"""Textures in metres whose texels carry colour and label together."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

CLEAR = 254  # label of a texel that hides nothing
LEVELS = 5  # mip levels, each half the size of the one before
_LEVEL_AREAS = np.array([2 * 4**step for step in range(LEVELS - 1)], np.float32)  # in texels


@dataclass(frozen=True, eq=False)
class Texture:
    """A picture of a surface, with its label map, at `LEVELS` resolutions.

    Colour and label share one 32-bit texel, so whatever is painted is painted with its label:
    image and label map cannot come apart.

    Attributes:
        texels: uint32, all levels one after another, each row by row; bytes red, green, blue, label.
        starts, heights, widths: int64 (LEVELS,), where a level begins and its size.
        row_m, column_m: size of a texel of level 0 in metres.
    """

    texels: np.ndarray
    starts: np.ndarray
    heights: np.ndarray
    widths: np.ndarray
    row_m: float
    column_m: float


def texel_grid(height_m: float, width_m: float, texels_per_m: float) -> tuple[int, int]:
    """Rows and columns of a texture of that size, rounded up so that every level has whole texels."""
    unit = 1 << (LEVELS - 1)
    return tuple(unit * max(1, math.ceil(size * texels_per_m / unit)) for size in (height_m, width_m))


def make_texture(rgb: np.ndarray, labels: np.ndarray | int, height_m: float, width_m: float) -> Texture:
    """Packs a colour picture and its labels and builds the coarser levels.

    Args:
        rgb: float32 (rows, columns, 3), 0–255, with sensible colours under `CLEAR` texels too, since
            the coarser levels average them in. Rows and columns as from `texel_grid`; row 0 is the top.
        labels: uint8 (rows, columns), class ids, VOID or `CLEAR`; or one class id for all texels.
        height_m, width_m: the size of the surface in metres.
    """
    rows, columns = rgb.shape[:2]
    levels = [np.empty((rows, columns, 4), np.uint8)]
    levels[0][..., :3] = np.clip(rgb, 0, 255)
    levels[0][..., 3] = labels
    while len(levels) < LEVELS:
        finer = levels[-1]
        coarser = cv2.resize(finer, (finer.shape[1] // 2, finer.shape[0] // 2), interpolation=cv2.INTER_AREA)
        coarser[..., 3] = finer[1::2, 1::2, 3]  # labels are picked, never averaged
        levels.append(coarser)
    sizes = np.array([each.shape[:2] for each in levels], np.int64)
    counts = sizes[:, 0] * sizes[:, 1]
    return Texture(
        texels=np.concatenate([each.reshape(-1).view(np.uint32) for each in levels]),
        starts=np.cumsum(counts) - counts,
        heights=sizes[:, 0],
        widths=sizes[:, 1],
        row_m=height_m / rows,
        column_m=width_m / columns,
    )


def tinted(colour: np.ndarray, noise: np.ndarray, amplitude: float) -> np.ndarray:
    """float32 (rows, columns, 3): `colour` (3,) made lighter and darker by `noise` (rows, columns)."""
    return colour * (np.float32(1) + np.float32(amplitude) * noise)[..., None]


def pick_level(texture: Texture, row_px_m, column_px_m) -> np.ndarray:
    """Mip level whose texels are about as large as a pixel's footprint.

    The footprint's area decides, so a grazing surface is neither all blur nor all aliasing.

    Args:
        texture: the texture to be sampled.
        row_px_m, column_px_m: metres a step of one pixel makes along the texture's rows and columns.
    """
    area = np.abs(row_px_m * column_px_m) / np.float32(texture.row_m * texture.column_m)
    return np.searchsorted(_LEVEL_AREAS, area)
