"""A scene at one time -> albedo image, label map and distances."""

from __future__ import annotations

import cv2
import numpy as np

from taf_keras.streets.motion import Pose
from taf_keras.streets.paint import NEAR_M, Canvas, View, haze_share, paint_part
from taf_keras.streets.parts import Scene, Thing
from taf_keras.streets.surfaces import GROUND_PERIOD_M, PANORAMA_HEIGHT, PANORAMA_WIDTH
from taf_keras.streets.texture import Texture, pick_level

SCALE = 2  # rendered pixels per image pixel, along each axis
PANORAMA_M = 150.0  # assumed distance of the skyline, for the haze alone
GROUND_M = 400.0  # rows at the horizon show ground no farther than this


def _position(thing: Thing, offset: int) -> tuple[float, float]:
    return thing.x + thing.vx * offset, thing.z + thing.vz * offset


def _paint_panorama(canvas: Canvas, view: View, texture: Texture):
    """Fills the canvas down to the horizon with what lies at infinity."""
    level = int(pick_level(texture, np.float32(1 / view.focal), np.float32(1 / view.focal)))
    rows, columns = int(texture.heights[level]), int(texture.widths[level])
    down = (canvas.rows - np.float32(view.v0)) / np.float32(view.focal * PANORAMA_HEIGHT) + np.float32(1)
    right = (canvas.columns - np.float32(view.u0)) / np.float32(view.focal * PANORAMA_WIDTH) + np.float32(0.5)
    row = np.clip((down * rows).astype(np.int64), 0, rows - 1)
    column = np.clip((right * columns).astype(np.int64), 0, columns - 1)
    canvas.texels[:] = texture.texels[texture.starts[level] + row[:, None] * columns + column]
    canvas.haze[:] = haze_share(np.float32(PANORAMA_M)).astype(np.uint8)


def _paint_ground(canvas: Canvas, view: View, scene: Scene, offset: int):
    """Fills the canvas below the horizon with the ground, then darkens it under cars and people."""
    texture = scene.ground
    first = int(np.searchsorted(canvas.rows, view.v0, side="right"))
    below = canvas.rows[first:] - np.float32(view.v0)
    depth = np.minimum(np.float32(view.focal * view.y) / below, np.float32(GROUND_M))
    px_m = depth / np.float32(view.focal)
    z = depth + np.float32(view.z)
    x = np.float32(view.x) + (canvas.columns - np.float32(view.u0)) * px_m[:, None]

    level = pick_level(texture, depth / below, px_m)
    rows, widths = texture.heights[level], texture.widths[level]
    row = ((z % np.float32(GROUND_PERIOD_M)) * (rows / np.float32(GROUND_PERIOD_M))).astype(np.int64) % rows
    half = np.float32(scene.ground_half_m)
    column = ((x + half) * (widths / np.float32(2 * half))[:, None].astype(np.float32)).astype(np.int64)
    column = np.clip(column, 0, widths[:, None] - 1)
    canvas.texels[first:] = texture.texels[(texture.starts[level] + row * widths)[:, None] + column]
    canvas.haze[first:] = haze_share(depth).astype(np.uint8)[:, None]

    rgb = canvas.texels[first:].view(np.uint8).reshape(*x.shape, 4)[..., :3]
    for thing in scene.things:
        half_width, length = thing.shadow
        middle, near = _position(thing, offset)
        if half_width and near + length - view.z > NEAR_M:
            r = slice(*sorted(len(z) - np.searchsorted(z[::-1], (near - 0.2, near + length))))
            under = np.abs(x[r] - np.float32(middle)) < np.float32(half_width)
            rgb[r][under] //= 2


def render(scene: Scene, pose: Pose, offset: int, height: int, width: int):
    """Renders a scene without light, weather and noise.

    Args:
        scene: what there is.
        pose: the camera's pose at that time.
        offset: the time, in frames from the key frame.
        height, width: size of the result in pixels; it is rendered at `SCALE` times that.

    Returns:
        image: uint8 (height, width, 3), RGB, averaged down from the rendered pixels.
        labels: uint8 (height, width), train ids, one rendered pixel's label per pixel.
        haze: uint8 (height, width), share of the haze in front of each pixel, 255 = all.
    """
    view = View.of(scene.street, pose, SCALE * height, SCALE * width)
    canvas = Canvas(SCALE * height, SCALE * width)
    _paint_panorama(canvas, view, scene.panorama)
    _paint_ground(canvas, view, scene, offset)
    for part in scene.rows:
        paint_part(canvas, view, part)
    for thing in sorted(scene.things, key=lambda each: -_position(each, offset)[1]):
        x, z = _position(thing, offset)
        phase = thing.phases[int(offset // thing.stride_frames) % len(thing.phases)]
        for part in phase:
            paint_part(canvas, view, part, x, z)
    pixels = canvas.texels.view(np.uint8).reshape(SCALE * height, SCALE * width, 4)
    image = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)[..., :3]
    middle = (slice(SCALE // 2, None, SCALE),) * 2
    return np.ascontiguousarray(image), pixels[..., 3][middle].copy(), canvas.haze[middle].copy()
