"""Draws what stands and moves between the rows of houses: posts, signs, trees, people, cars."""

from __future__ import annotations

import numpy as np

from taf_keras.streets.config import TREE, SyntheticConfig
from taf_keras.streets.noise import draw_colour
from taf_keras.streets.parts import Board, Street, Thing, Wall
from taf_keras.streets.sprites import (
    make_car,
    make_clutter,
    make_crown,
    make_person,
    make_plain,
    make_plate,
    make_post,
)

CAR_SPEED_M = 0.4  # metres per frame
PERSON_SPEED_M = 0.05
NEAREST_M = 4.0  # nothing drives or walks closer in front of the camera


def draw_tree_parts(rng: np.random.Generator, x: float, z: float) -> tuple[Board, ...]:
    """Trunk and crown of a tree at (x, z)."""
    trunk_m, wide, tall = rng.uniform(1.6, 2.8), rng.uniform(2.0, 4.5), rng.uniform(2.5, 5.0)
    thick = rng.uniform(0.22, 0.5)
    trunk = make_plain(rng, trunk_m + 0.5, thick, TREE, draw_colour(rng, TREE) * np.float32(0.7))
    crown = make_crown(rng, tall, wide)
    return (
        Board(trunk, x - thick / 2, x + thick / 2, 0, trunk_m + 0.5, z),
        Board(crown, x - wide / 2, x + wide / 2, trunk_m - 0.2, trunk_m + tall - 0.2, z),
    )


def _draw_lamp(rng: np.random.Generator, x: float, z: float) -> Thing:
    tall, thick, reach = rng.uniform(4, 8), rng.uniform(0.14, 0.26), rng.uniform(0.6, 1.8)
    post = make_post(rng, tall, thick)
    parts = [Board(post, -thick / 2, thick / 2, 0, tall, 0)]
    if rng.random() < 0.7:  # an arm over the road with the lamp at its end
        x0, x1 = sorted((0.0, -np.sign(x) * reach))
        parts.append(Board(post, x0, x1, tall - 0.22, tall, 0))
    return Thing(x, z, (tuple(parts),))


def _draw_sign(rng: np.random.Generator, x: float, z: float) -> Thing:
    tall, thick, size = rng.uniform(2.2, 3.2), rng.uniform(0.09, 0.14), rng.uniform(0.65, 1.1)
    parts = [Board(make_post(rng, tall, thick), -thick / 2, thick / 2, 0, tall, 0)]
    for index in range(1 + (rng.random() < 0.3)):
        top = tall - index * (size + 0.05)
        parts.append(Board(make_plate(rng, size), -size / 2, size / 2, top - size, top, 0))
    return Thing(x, z, (tuple(parts),))


def _draw_person(rng: np.random.Generator, x: float, z: float, vx: float, vz: float) -> Thing:
    tall = rng.uniform(1.3, 1.95)
    wide = tall / 2
    phases = tuple((Board(step, -wide / 2, wide / 2, 0, tall, 0),) for step in make_person(rng, tall))
    stride = rng.uniform(4, 7)
    if vx == vz == 0:
        phases = phases[:1]
    return Thing(x, z, phases, vx, vz, stride, shadow=(0.25, 0.4))


def _draw_car(rng: np.random.Generator, x: float, z: float, vz: float, towards: bool) -> Thing:
    long, wide, tall = rng.uniform(3.6, 4.8), rng.uniform(1.65, 1.95), rng.uniform(1.4, 1.9)
    end, flank, body, cabin = make_car(rng, long, wide, tall, towards)
    half = wide / 2
    far, middle = (0.98, (0.75, 0.6, 0.45)) if towards else (0.98, (0.6, 0.4, 0.2))
    parts = [Board(body, -half, half, 0, tall, far * long)]
    parts += [Board(cabin, -half, half, 0, tall, share * long) for share in middle]
    parts += [Wall(flank, faces * half, 0, long, 0, tall, faces) for faces in (-1, 1)]
    parts.append(Board(end, -half, half, 0, tall, 0))
    return Thing(x, z, (tuple(parts),), vz=vz, shadow=(half, long))


def _spread(rng: np.random.Generator, first_m: float, last_m: float, low_m: float, high_m: float):
    """Positions from `first_m` to `last_m`, `low_m` to `high_m` apart."""
    z = first_m + rng.uniform(0, high_m)
    while z < last_m:
        yield z
        z += rng.uniform(low_m, high_m)


def _draw_cars(rng: np.random.Generator, street: Street, reach_m: float, config: SyntheticConfig):
    drift_m = CAR_SPEED_M * config.object_speed * config.half_length
    speed = CAR_SPEED_M * config.object_speed
    for side in (-1, 1):
        towards = side != street.side
        if rng.random() < 0.75:  # a row of parked cars with gaps
            share = rng.uniform(0.2, 0.7)
            for z in _spread(rng, NEAREST_M, 60, 5.5, 8.0):
                if rng.random() < share:
                    yield _draw_car(rng, side * street.parked_x, z, 0.0, towards)
        if rng.random() < 0.75:  # moving cars; those in the camera's lane keep their distance
            nearest = NEAREST_M + (0 if towards else reach_m + drift_m / 2)
            lane_x = side * street.road_half * 0.5 if towards else street.camera_x + rng.uniform(-0.2, 0.2)
            vz = rng.uniform(-speed, 0) if towards else rng.uniform(-0.4 * speed, speed)
            for z in _spread(rng, nearest, 60, 9, 30):
                yield _draw_car(rng, lane_x, z, vz, towards)


def draw_things(rng: np.random.Generator, street: Street, reach_m: float, config: SyntheticConfig):
    """Yields the things of a scene.

    Args:
        rng: decides everything.
        street: the street's dimensions.
        reach_m: how far the camera may move from z = 0.
        config: speeds.
    """
    kerb, walk = street.road_half + 0.45, street.house_x - street.road_half - 0.6
    speed = PERSON_SPEED_M * config.object_speed
    for side in (-1, 1):
        for z in _spread(rng, 2, 60, 10, 22):
            yield _draw_lamp(rng, side * (kerb + rng.uniform(0, 0.2)), z)
        for z in _spread(rng, 4, 50, 8, 26):
            yield _draw_sign(rng, side * (kerb + rng.uniform(0, 0.3)), z)
        if rng.random() < 0.6:
            spacing = rng.uniform(7, 16)
            for z in _spread(rng, 5, 70, spacing, spacing * 1.4):
                x = side * (kerb + rng.uniform(0.1, 0.6))
                yield Thing(x, z, (draw_tree_parts(rng, 0.0, 0.0),))
        for z in _spread(rng, 4, 45, 2.5, 12):
            x = side * (street.road_half + 0.4 + rng.uniform(0, 1) * walk)
            moving = rng.random() < 0.7
            yield _draw_person(rng, x, z, 0.0, moving * rng.uniform(-speed, speed))
        for z in _spread(rng, 6, 40, 15, 50):
            tall, wide = rng.uniform(0.7, 1.3), rng.uniform(0.4, 0.8)
            box = Board(make_clutter(rng, tall, wide), -wide / 2, wide / 2, 0, tall, 0)
            yield Thing(side * (street.house_x - 0.5), z, ((box,),))
    for z in _spread(rng, NEAREST_M + 3 + reach_m, 35, 8, 40):  # people who cross the road
        x = rng.uniform(-1, 1) * street.road_half
        yield _draw_person(rng, x, z, rng.choice([-1, 1]) * rng.uniform(0.3, 1) * speed, 0.0)
    yield from _draw_cars(rng, street, reach_m, config)
