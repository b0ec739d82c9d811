"""Outlines, boxes and runs of pixels to masks.

A pixel belongs to an outline if its centre, half a pixel right of and below its corner, lies inside. So
shapes that share an edge have no pixel in common, and leave none between them. OpenCV's and Pillow's polygons
hold their outline too, and are half a pixel larger on every side.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from taf_keras.label_formats.export import MOST_PIXELS, UNLABELLED, image_size
from taf_keras.sizes import Size

_CORNERS_OF_ELLIPSE = 360


class Mask(NamedTuple):
    """A part of an image: bool (height, width), whose first pixel lies at row `top` and column `left`."""

    top: int
    left: int
    pixels: np.ndarray


def draw(size: Size, shapes: Sequence[tuple[int, Mask]]) -> np.ndarray:
    """uint8 (height, width): the values of the shapes, later over earlier, over UNLABELLED."""
    label = np.full(size, UNLABELLED, np.uint8)
    for value, mask in shapes:
        top, left = max(0, mask.top), max(0, mask.left)
        pixels = mask.pixels[top - mask.top :, left - mask.left :]
        part = label[top : top + pixels.shape[0], left : left + pixels.shape[1]]
        part[pixels[: part.shape[0], : part.shape[1]]] = value
    return label


def polygon(size: Size, *rings) -> Mask:
    """What the rings enclose, by the even–odd rule: a ring within another is a hole.

    Args:
        size: (height, width) of the image, px; what lies outside of it is cut off.
        rings: of (x, y) each, px from the upper left corner of the image. Less than three enclose nothing.
    """
    rings = [np.asarray(ring, np.float64).reshape(-1, 2) for ring in rings]
    points = np.concatenate(rings)
    if not np.isfinite(points).all():
        raise ValueError("a point that is no number")
    limits = np.array([size[1], size[0]])
    left, top = np.clip(np.floor(points.min(axis=0)), 0, limits).astype(int).tolist()
    right, bottom = np.clip(np.ceil(points.max(axis=0)), 0, limits).astype(int).tolist()
    crossings = np.zeros((bottom - top, right - left + 1), np.int32)
    for ring in rings:
        rows, columns = _crossings(ring, top, bottom)
        np.add.at(crossings, (rows - top, np.clip(columns, left, right).astype(int) - left), 1)
    inside = np.cumsum(crossings[:, :-1], axis=1) % 2 == 1
    return Mask(top, left, inside)


def _crossings(ring: np.ndarray, top: int, bottom: int) -> tuple[np.ndarray, np.ndarray]:
    """Where a ring crosses the middle of rows top … bottom − 1: the rows, and the next column to it."""
    ends = np.stack([ring, np.roll(ring, -1, axis=0)])  # (2, edges, 2)
    # Each edge from its upper end: two shapes that share one then find the same crossings to the last bit.
    upper, lower = np.take_along_axis(ends, np.argsort(ends[..., 1:], axis=0, kind="stable"), axis=0)
    first = np.clip(np.ceil(upper[:, 1] - 0.5), top, bottom).astype(int)  # a corner counts for one edge
    last = np.clip(np.ceil(lower[:, 1] - 0.5), top, bottom).astype(int)
    counts = last - first
    if counts.sum() > MOST_PIXELS:
        raise ValueError(f"an outline of {len(ring):,} points is not read")
    edge = np.repeat(np.arange(len(ring)), counts)
    rows = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    (x0, y0), (x1, y1) = upper[edge].T, lower[edge].T
    return rows, np.ceil(x0 + (rows + 0.5 - y0) / (y1 - y0) * (x1 - x0) - 0.5)


def box(size: Size, left: float, top: float, right: float, bottom: float, degrees: float = 0) -> Mask:
    """A rectangle, turned clockwise about its centre."""
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)
    return polygon(size, turned(corners, degrees, corners.mean(axis=0)))


def ellipse(size: Size, x: float, y: float, radius_x: float, radius_y: float, degrees: float = 0) -> Mask:
    """An ellipse about (x, y), turned clockwise."""
    angles = np.linspace(0, 2 * np.pi, _CORNERS_OF_ELLIPSE, endpoint=False)
    corners = np.stack([x + radius_x * np.cos(angles), y + radius_y * np.sin(angles)], axis=1)
    return polygon(size, turned(corners, degrees, corners.mean(axis=0)))


def turned(corners: np.ndarray, degrees: float, centre: np.ndarray) -> np.ndarray:
    """Points (count, 2), turned clockwise about another one."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (corners - centre) @ turn + centre


def png_mask(data: bytes) -> np.ndarray:
    """bool (height, width) of a PNG within another file: true where it is not 0, or where it is opaque."""
    image = Image.open(io.BytesIO(data))
    image_size(*image.size[::-1])
    if image.mode in ("RGBA", "LA"):
        image = image.getchannel("A")
    return np.asarray(image if image.mode == "P" else image.convert("L")) > 0


def runs(counts: Sequence[int], size: Size, order: str = "C") -> np.ndarray:
    """bool (height, width) of run lengths, of pixels outside and inside in turns.

    Args:
        order: C for runs along rows, F for runs along columns.
    Raises: ValueError where they do not fill the mask.
    """
    counts = np.asarray(counts, np.int64)
    if counts.ndim != 1 or (counts < 0).any() or counts.sum() != size[0] * size[1]:
        raise ValueError(f"run lengths do not add up to {size[0]}x{size[1]} px")
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(size, order=order)
