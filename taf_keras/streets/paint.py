"""Paints upright surfaces as a pinhole camera sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taf_keras.streets.motion import Pose
from taf_keras.streets.parts import Board, Street, Wall
from taf_keras.streets.texture import CLEAR, pick_level

NEAR_M = 0.8  # nearer surfaces are cut off
HALF_HAZE_M = 40.0  # distance at which half of the haze lies in front of a surface


@dataclass(frozen=True)
class View:
    """The pinhole camera at one time, in rendered pixels: u = u0 + focal · x / z, v = v0 - focal · y / z."""

    focal: float
    u0: float
    v0: float
    x: float
    y: float
    z: float

    @staticmethod
    def of(street: Street, pose: Pose, height: int, width: int) -> View:
        """`height` and `width` in rendered pixels."""
        return View(
            focal=street.focal * width,
            u0=(0.5 + pose.yaw) * width,
            v0=(street.horizon + pose.pitch) * height,
            x=street.camera_x + pose.x_m,
            y=street.camera_height + pose.height_m,
            z=pose.z_m,
        )


class Canvas:
    """The picture being painted, far things first.

    Attributes:
        texels: uint32 (height, width), bytes red, green, blue, label, as in `Texture`.
        haze: uint8 (height, width), share of the haze in front of a pixel, 255 = all.
    """

    def __init__(self, height: int, width: int):
        self.texels = np.zeros((height, width), np.uint32)
        self.haze = np.zeros((height, width), np.uint8)
        self.rows = np.arange(height, dtype=np.float32) + np.float32(0.5)
        self.columns = np.arange(width, dtype=np.float32) + np.float32(0.5)

    def span(self, left: float, right: float) -> slice:
        """The pixel columns whose centres lie within left … right."""
        first, last = np.searchsorted(self.columns, sorted((left, right)))
        return slice(int(first), int(last))


def haze_share(depth):
    return np.float32(255) * depth / (depth + np.float32(HALF_HAZE_M))


def _paint_upright(canvas: Canvas, view: View, part: Board | Wall, span: slice, right, depth, column_px_m):
    """Paints an upright surface, column by column.

    Args:
        canvas, view: where and from where.
        part: its texture, y0 and y1 are used.
        span: the columns it covers.
        right: float32 (columns,), position on the texture from its left edge (0) to its right (1).
        depth: float32 (columns,), distance in metres.
        column_px_m: metres along the texture per pixel, (columns,) or one number.
    """
    texture, focal = part.texture, np.float32(view.focal)
    ends = float(depth.min()), float(depth.max())
    top = min(view.v0 - view.focal * (part.y1 - view.y) / end for end in ends)
    bottom = max(view.v0 - view.focal * (part.y0 - view.y) / end for end in ends)
    first, last = np.searchsorted(canvas.rows, (top, bottom))
    if first >= last:
        return
    area = (slice(int(first), int(last)), span)
    level = pick_level(texture, depth / focal, column_px_m)
    rows, widths = texture.heights[level], texture.widths[level]
    column = np.minimum(np.maximum((right * widths).astype(np.int64), 0), widths - 1)

    # Rows of the texture below its upper edge: v = v0 - focal (y - view.y) / depth, solved for y.
    per_pixel = depth / focal / np.float32(part.y1 - part.y0) * rows.astype(np.float32)
    offset = np.float32(part.y1 - view.y) / np.float32(part.y1 - part.y0) * rows.astype(np.float32)
    row = np.floor((canvas.rows[area[0], None] - np.float32(view.v0)) * per_pixel + offset).astype(np.int64)
    inside = np.minimum(np.maximum(row, 0), rows - 1)
    texels = texture.texels[texture.starts[level] + inside * widths + column]
    drawn = texels.view(np.uint8).reshape(*texels.shape, 4)[..., 3] != CLEAR
    drawn &= inside == row
    np.copyto(canvas.texels[area], texels, where=drawn)
    np.copyto(canvas.haze[area], haze_share(depth).astype(np.uint8), where=drawn)


def _paint_board(canvas: Canvas, view: View, board: Board, x: float, z: float):
    depth = board.z + z - view.z
    if depth < NEAR_M:
        return
    scale = view.focal / depth
    left = view.u0 + scale * (board.x0 + x - view.x)
    span = canvas.span(left, left + scale * (board.x1 - board.x0))
    columns = canvas.columns[span]
    if not columns.size:
        return
    right = (columns - np.float32(left)) / np.float32(scale * (board.x1 - board.x0))
    _paint_upright(canvas, view, board, span, right, np.full(1, depth, np.float32), 1 / scale)


def _paint_wall(canvas: Canvas, view: View, wall: Wall, x: float, z: float):
    aside = wall.x + x - view.x
    near, far = max(wall.z0 + z - view.z, NEAR_M), wall.z1 + z - view.z
    if far <= near or aside * wall.faces >= 0:
        return
    span = canvas.span(view.u0 + view.focal * aside / near, view.u0 + view.focal * aside / far)
    columns = canvas.columns[span]
    if not columns.size:
        return
    across = columns - np.float32(view.u0)
    depth = np.float32(view.focal * aside) / across
    right = (depth + np.float32(view.z - z - wall.z0)) / np.float32(wall.z1 - wall.z0)
    _paint_upright(canvas, view, wall, span, right, depth, depth / across)


def paint_part(canvas: Canvas, view: View, part: Board | Wall, x: float = 0.0, z: float = 0.0):
    """Paints a part of something that stands at (x, z), in metres."""
    paint = _paint_board if isinstance(part, Board) else _paint_wall
    paint(canvas, view, part, x, z)
