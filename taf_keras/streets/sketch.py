"""Draws textures from simple filled shapes."""

from __future__ import annotations

import cv2
import numpy as np

from taf_keras.streets.noise import draw_noise
from taf_keras.streets.texture import CLEAR, Texture, make_texture, texel_grid


class Sketch:
    """A picture built of filled shapes whose corners are fractions of its size, (0, 0) top left."""

    def __init__(self, rng, height_m: float, width_m: float, colour: np.ndarray, texels_per_m: float = 32):
        self.size_m = height_m, width_m
        self.rows, self.columns = texel_grid(height_m, width_m, texels_per_m)
        self.shade = (1 + np.float32(0.3) * draw_noise(rng, self.rows, self.columns))[..., None]
        self.rgb = np.broadcast_to(colour, (self.rows, self.columns, 3)).astype(np.float32)
        self.drawn = np.zeros((self.rows, self.columns), np.uint8)

    def _fill(self, draw, colour):
        mask = np.zeros((self.rows, self.columns), np.uint8)
        draw(mask)
        self.drawn |= mask
        self.rgb[mask > 0] = colour

    def polygon(self, colour, *corners: tuple[float, float]):
        """Corners are (x, y) fractions."""
        points = np.array([(x * self.columns, y * self.rows) for x, y in corners])
        points = np.round(points - 0.5).astype(np.int32)
        self._fill(lambda mask: cv2.fillPoly(mask, [points], 1), colour)

    def box(self, colour, left: float, top: float, right: float, bottom: float):
        self.polygon(colour, (left, top), (right, top), (right, bottom), (left, bottom))

    def disc(self, colour, x: float, y: float, radius_m: float):
        """Centre as fractions, radius in metres."""
        axes = (
            max(1, round(radius_m / self.size_m[1] * self.columns)),
            max(1, round(radius_m / self.size_m[0] * self.rows)),
        )
        centre = (round(x * self.columns), round(y * self.rows))
        self._fill(lambda mask: cv2.ellipse(mask, centre, axes, 0, 0, 360, 1, -1), colour)

    def texture(self, class_id: int) -> Texture:
        labels = np.where(self.drawn > 0, class_id, CLEAR)
        return make_texture(self.rgb * self.shade, labels, *self.size_m)
