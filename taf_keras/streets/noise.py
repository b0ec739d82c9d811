"""Multi-octave noise and colour palettes: what surfaces are made of."""

from __future__ import annotations

import functools

import numpy as np

from taf_keras.streets.config import (
    BUILDING,
    CAR,
    FENCE,
    GENERATOR_VERSION,
    PAVEMENT,
    PEDESTRIAN,
    POLE,
    ROAD,
    SIGN,
    SKY,
    TREE,
)

TILE = 512  # side of a noise tile in texels; tiles repeat

# Weights of the octaves with 4, 8, … 256 cells a tile, from coarse to fine.
_OCTAVES = {
    "rough": (0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.6),
    "smooth": (1.0, 0.8, 0.4, 0.2, 0.1, 0.0, 0.0),
    "leafy": (0.2, 0.3, 0.4, 0.7, 0.9, 0.7, 0.5),
}

# Typical colours (red, green, blue) of a class. They overlap on purpose, and `draw_colour` jitters
# them strongly, so that a pixel's colour alone says little about its class.
_PALETTES = {
    SKY: ((120, 165, 215), (165, 190, 215), (185, 185, 185), (150, 150, 155), (205, 180, 150)),
    BUILDING: (
        (150, 90, 70),
        (180, 165, 135),
        (130, 130, 130),
        (190, 185, 175),
        (165, 130, 90),
        (110, 125, 145),
    ),
    POLE: ((70, 70, 70), (140, 140, 140), (60, 85, 65), (105, 80, 60)),
    ROAD: ((95, 95, 98), (120, 118, 115), (75, 78, 85), (130, 120, 108)),
    PAVEMENT: ((140, 135, 128), (115, 115, 115), (160, 145, 120), (145, 110, 95)),
    TREE: ((70, 100, 45), (95, 115, 60), (130, 115, 50), (60, 80, 60), (125, 80, 50)),
    SIGN: ((190, 50, 45), (50, 85, 170), (200, 180, 60), (185, 185, 185), (50, 130, 80)),
    CAR: (
        (165, 40, 40),
        (50, 70, 130),
        (60, 60, 65),
        (190, 190, 190),
        (130, 135, 140),
        (150, 140, 70),
        (55, 95, 70),
    ),
    PEDESTRIAN: ((60, 60, 75), (150, 60, 60), (65, 85, 140), (170, 160, 140), (80, 110, 70), (190, 150, 60)),
    FENCE: ((130, 95, 60), (150, 150, 145), (75, 95, 65), (95, 95, 100), (155, 110, 90)),
}


def draw_colour(rng: np.random.Generator, class_id: int, spread: float = 1.0) -> np.ndarray:
    """A jittered colour of a class's palette.

    Returns:
        float32 (3,), red, green, blue within 18–238.
    """
    palette = _PALETTES[class_id]
    base = np.array(palette[rng.integers(len(palette))], np.float64)
    brightness = 1.0 + spread * rng.uniform(-0.35, 0.4)
    tint = spread * rng.normal(0.0, 14.0, 3)
    return np.clip(base * brightness + tint, 18, 238).astype(np.float32)


def _double(grid: np.ndarray, axis: int) -> np.ndarray:
    """Twice as many samples along `axis` of a periodic grid: quadratic B-spline subdivision."""
    before = 0.75 * grid + 0.25 * np.roll(grid, 1, axis)
    after = 0.75 * grid + 0.25 * np.roll(grid, -1, axis)
    pair = np.stack((before, after), axis + 1)
    shape = list(grid.shape)
    shape[axis] *= 2
    return pair.reshape(shape)


@functools.cache
def _tile(kind: str) -> np.ndarray:
    """Periodic noise tile, float32 (TILE, TILE), standard deviation about 0.4."""
    rng = np.random.default_rng([GENERATOR_VERSION, sorted(_OCTAVES).index(kind)])
    total = np.zeros((TILE, TILE), np.float32)
    weights = _OCTAVES[kind]
    scale = 0.8 / float(np.sqrt(sum(w * w for w in weights)))
    for octave, weight in enumerate(weights):
        cells = 4 << octave
        grid = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
        while grid.shape[0] < TILE:
            grid = _double(_double(grid, 0), 1)
        total += np.float32(weight * scale) * grid
    return total


def draw_noise(rng: np.random.Generator, height: int, width: int, kind: str = "rough") -> np.ndarray:
    """A random piece of the periodic noise tile.

    Args:
        rng: decides where the piece is cut.
        height, width: its size in texels; it repeats beyond TILE.
        kind: "rough" (every scale), "smooth" (clouds, stains) or "leafy" (foliage).

    Returns:
        float32 (height, width), about -1 … 1.
    """
    top, left = rng.integers(TILE, size=2)
    rows = (top + np.arange(height)) % TILE
    columns = (left + np.arange(width)) % TILE
    return _tile(kind)[np.ix_(rows, columns)]
