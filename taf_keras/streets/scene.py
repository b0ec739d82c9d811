"""Draws the street of a clip: its dimensions and the rows of houses, hedges and fences at its sides."""

from __future__ import annotations

import numpy as np

from taf_keras.streets.config import SyntheticConfig
from taf_keras.streets.parts import Board, Scene, Street, Wall
from taf_keras.streets.surfaces import (
    make_facade,
    make_fence,
    make_foliage,
    make_ground,
    make_panorama,
)
from taf_keras.streets.things import draw_things, draw_tree_parts

FAR_M = 110.0  # where the rows of houses end


def _draw_street(rng: np.random.Generator) -> Street:
    road_half = 3.2 + 2.8 * rng.random() ** 1.5  # 3.2–6 m, narrow ones more often
    parked_x = max(road_half - 1.0, road_half / 2 + 1.9)  # half on the pavement where the road is narrow
    side = 1 if rng.random() < 0.5 else -1
    aside = min(rng.uniform(0.2, 0.6) * road_half, parked_x - 1.5)  # passes parked cars
    return Street(
        focal=rng.uniform(0.75, 1.05),
        camera_x=side * aside,
        camera_height=rng.uniform(1.3, 1.8),
        horizon=rng.uniform(0.36, 0.48),
        road_half=road_half,
        parked_x=parked_x,
        house_x=road_half + rng.uniform(1.5, 3.5),
        side=side,
    )


def _draw_row(rng: np.random.Generator, x: float, side: int, start_m: float) -> list[Board | Wall]:
    """One side of the street from near to far: houses, hedges and rows of trees, fences, gaps."""
    parts: list[tuple[float, Board | Wall]] = []
    faces = -side  # a wall on the right is seen from its left
    z, tallness = start_m, rng.uniform(0.6, 1.0)
    while z < FAR_M:
        end = z + rng.uniform(6, 14)
        kind = rng.choice(4, p=(0.48, 0.14, 0.28, 0.1))
        if kind == 0:
            height = 3.5 + tallness * rng.uniform(0.0, 12.5)
            parts.append((z, Wall(make_facade(rng, end - z, height), side * x, z, end, 0, height, faces)))
            gable = make_facade(rng, 8.0, height, windows=rng.random() < 0.4)
            x0, x1 = sorted((side * x, side * (x + 8)))
            parts.append((z, Board(gable, x0, x1, 0, height, z)))
        elif kind == 1:
            height = rng.uniform(1.2, 2.5) if rng.random() < 0.4 else rng.uniform(4, 9)
            foliage = make_foliage(rng, end - z, height, ragged_m=0.3 * height)
            parts.append((z, Wall(foliage, side * x, z, end, 0, height, faces)))
        elif kind == 2:
            height = rng.uniform(1.2, 2.4)
            parts.append((z, Wall(make_fence(rng, end - z, height), side * x, z, end, 0, height, faces)))
            for _ in range(rng.integers(0, 3)):
                tree_z = rng.uniform(z + 1, end - 1)
                tree_x = side * (x + rng.uniform(1.5, 5))
                parts.extend((tree_z, part) for part in draw_tree_parts(rng, tree_x, tree_z))
        z = end
    parts.sort(key=lambda each: -each[0])
    return [part for _, part in parts]


def _draw_backdrop(rng: np.random.Generator, x: float, side: int) -> list[Wall]:
    """A second row behind the first, which closes the view through its gaps."""
    parts, z = [], 0.0
    while z < FAR_M:
        end, height = z + rng.uniform(12, 25), rng.uniform(3, 9)
        if rng.random() < 0.5:
            texture = make_foliage(rng, end - z, height, ragged_m=0.25 * height)
        else:
            texture = make_facade(rng, end - z, height)
        parts.append(Wall(texture, side * x, z, end, 0, height, -side))
        z = end
    return parts[::-1]


def draw_scene(rng: np.random.Generator, config: SyntheticConfig) -> Scene:
    """Draws a street. The scene does not depend on the image size, nor on drift and noise."""
    street = _draw_street(rng)
    ground_half_m = street.house_x + 4
    reach_m = config.max_speed_m * config.half_length  # how far the camera can be from z = 0
    rows = []
    for side in (-1, 1):
        rows += _draw_backdrop(rng, street.house_x + 12, side)
        rows += _draw_row(rng, street.house_x, side, start_m=-reach_m)
    return Scene(
        street=street,
        ground=make_ground(rng, street.road_half, ground_half_m),
        panorama=make_panorama(rng),
        ground_half_m=ground_half_m,
        rows=tuple(rows),
        things=tuple(draw_things(rng, street, reach_m, config)),
    )
