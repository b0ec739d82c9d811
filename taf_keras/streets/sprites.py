"""Textures of what stands or moves in the street: cars, people, trees, signs, posts."""

from __future__ import annotations

import numpy as np

from taf_keras.clips.clip import VOID
from taf_keras.streets.config import CAR, PEDESTRIAN, POLE, SIGN, TREE
from taf_keras.streets.noise import draw_colour, draw_noise
from taf_keras.streets.sketch import Sketch
from taf_keras.streets.texture import CLEAR, Texture, make_texture, texel_grid, tinted


def make_plain(rng, height_m: float, width_m: float, class_id: int, colour: np.ndarray) -> Texture:
    """An opaque rectangle of one material: posts, trunks, plain walls."""
    rows, columns = texel_grid(height_m, width_m, 20)
    rgb = tinted(colour, draw_noise(rng, rows, columns), 0.3)
    # Lit from one side, as a round post would be.
    rgb *= (0.75 + 0.5 * np.arange(columns, dtype=np.float32) / np.float32(columns))[None, :, None]
    return make_texture(rgb, class_id, height_m, width_m)


def make_crown(rng: np.random.Generator, height_m: float, width_m: float) -> Texture:
    """The crown of a tree: an ellipse with a ragged outline, darker below."""
    rows, columns = texel_grid(height_m, width_m, 16)
    y = ((np.arange(rows, dtype=np.float32) + np.float32(0.5)) / np.float32(rows) * 2 - 1)[:, None]
    x = ((np.arange(columns, dtype=np.float32) + np.float32(0.5)) / np.float32(columns) * 2 - 1)[None, :]
    leaves, lumps = draw_noise(rng, rows, columns, "leafy"), draw_noise(rng, rows, columns, "smooth")
    inside = x * x + y * y + leaves * np.float32(0.3) + lumps * np.float32(0.3) < 0.75
    rgb = tinted(draw_colour(rng, TREE), leaves, rng.uniform(0.5, 0.85))
    rgb *= (1 - 0.35 * y - 0.15 * x)[..., None]
    return make_texture(rgb, np.where(inside, TREE, CLEAR), height_m, width_m)


def make_plate(rng: np.random.Generator, size_m: float) -> Texture:
    """The plate of a traffic sign: round, triangular, square or a board, with a rim and a symbol."""
    face, rim = draw_colour(rng, SIGN), draw_colour(rng, SIGN)
    sketch = Sketch(rng, size_m, size_m, rim, texels_per_m=40)
    shape = rng.integers(4)
    if shape == 0:
        sketch.disc(rim, 0.5, 0.5, 0.49 * size_m)
        sketch.disc(face, 0.5, 0.5, 0.36 * size_m)
    elif shape == 1:
        sketch.polygon(rim, (0.5, 0.02), (0.99, 0.95), (0.01, 0.95))
        sketch.polygon(face, (0.5, 0.26), (0.8, 0.83), (0.2, 0.83))
    elif shape == 2:
        sketch.box(rim, 0.05, 0.05, 0.95, 0.95)
        sketch.box(face, 0.14, 0.14, 0.86, 0.86)
    else:
        sketch.polygon(rim, (0.5, 0), (1, 0.5), (0.5, 1), (0, 0.5))
        sketch.polygon(face, (0.5, 0.15), (0.85, 0.5), (0.5, 0.85), (0.15, 0.5))
    sketch.box(255 - face, 0.42, 0.4, 0.58, 0.75)
    return sketch.texture(SIGN)


def make_person(rng: np.random.Generator, height_m: float) -> tuple[Texture, ...]:
    """A person in two phases of a step (head, hair, trunk, arms, legs); half as wide as tall."""
    skin = np.array((200, 150, 120), np.float32) * np.float32(rng.uniform(0.4, 1.15))
    hair = np.float32(rng.uniform(25, 130))
    coat, trousers = draw_colour(rng, PEDESTRIAN), draw_colour(rng, PEDESTRIAN)
    shoes = np.float32(rng.uniform(20, 90))
    coat_end = rng.uniform(0.5, 0.68)
    phases = []
    for stride in (0.03, 0.12):
        sketch = Sketch(rng, height_m, height_m / 2, coat)
        for side in (-1, 1):
            foot = 0.5 + side * (0.08 + stride)
            hip = 0.5 + side * 0.09
            leg = ((hip - 0.09, 0.5), (hip + 0.09, 0.5), (foot + 0.075, 0.97), (foot - 0.075, 0.97))
            sketch.polygon(trousers, *leg)
            sketch.box(shoes, foot - 0.09, 0.95, foot + 0.09, 1.0)
            hand = 0.5 + side * (0.25 + stride)
            arm = (
                (0.5 + side * 0.16, 0.19),
                (0.5 + side * 0.26, 0.21),
                (hand + side * 0.04, 0.53),
                (hand, 0.53),
            )
            sketch.polygon(coat * np.float32(0.8), *arm)
        sketch.polygon(coat, (0.27, 0.19), (0.73, 0.19), (0.69, coat_end), (0.31, coat_end))
        sketch.disc(hair, 0.5, 0.085, 0.075 * height_m)
        sketch.disc(skin, 0.5, 0.1, 0.06 * height_m)
        phases.append(sketch.texture(PEDESTRIAN))
    return tuple(phases)


def make_car(rng: np.random.Generator, length_m: float, width_m: float, height_m: float, towards: bool):
    """A car's textures: its end that faces the camera, its flank, and slices of its body and cabin.

    Args:
        rng: decides colours and proportions.
        length_m, width_m, height_m: its size in metres.
        towards: whether it shows its front (driving towards the camera) or its rear.

    Returns:
        (end, flank, body, cabin). The flank's left edge is the end nearer to the camera.
    """
    paint = draw_colour(rng, CAR)
    glass = (rng.uniform(35, 90) + rng.normal(0, 8, 3)).astype(np.float32)
    tyre, trim = np.float32(rng.uniform(18, 40)), np.float32(rng.uniform(30, 80))
    lamp = np.array((235, 230, 200) if towards else (190, 30, 25), np.float32)
    waist = rng.uniform(0.42, 0.5)

    end = Sketch(rng, height_m, width_m, paint)
    end.polygon(paint * np.float32(0.9), (0.17, 0.02), (0.83, 0.02), (0.96, waist), (0.04, waist))
    end.polygon(glass, (0.22, 0.08), (0.78, 0.08), (0.87, waist - 0.03), (0.13, waist - 0.03))
    end.box(tyre, 0.04, 0.7, 0.2, 1.0)
    end.box(tyre, 0.8, 0.7, 0.96, 1.0)
    end.polygon(paint, (0.03, waist), (0.97, waist), (1.0, 0.62), (0.98, 0.86), (0.02, 0.86), (0.0, 0.62))
    end.box(trim, 0.03, 0.76, 0.97, 0.86)
    end.box(lamp, 0.03, waist + 0.08, 0.19, waist + 0.18)
    end.box(lamp, 0.81, waist + 0.08, 0.97, waist + 0.18)
    end.box(np.float32(215), 0.38, 0.68, 0.62, 0.76)

    flank = Sketch(rng, height_m, length_m, paint)
    back, front = rng.uniform(0.03, 0.16), rng.uniform(0.68, 0.76)
    if towards:  # the bonnet is at the near end
        back, front = 1 - front, 1 - back
    flank.polygon(paint, (back + 0.07, 0.02), (front - 0.1, 0.02), (front, waist), (back, waist))
    flank.polygon(
        glass,
        (back + 0.1, 0.09),
        (front - 0.12, 0.09),
        (front - 0.04, waist - 0.03),
        (back + 0.05, waist - 0.03),
    )
    middle = (back + front) / 2
    flank.box(paint, middle - 0.015, 0.05, middle + 0.015, waist)
    flank.polygon(
        paint * np.float32(0.92), (0.01, waist), (0.99, waist), (1, 0.65), (1, 0.86), (0, 0.86), (0, 0.65)
    )
    for wheel in (0.2, 0.8):
        flank.disc(tyre, wheel, 1 - 0.31 / height_m, 0.31)
        flank.disc(tyre + 90, wheel, 1 - 0.31 / height_m, 0.15)

    body = Sketch(rng, height_m, width_m, paint)
    body.box(paint * np.float32(0.9), 0.0, waist, 1.0, 0.86)
    cabin = Sketch(rng, height_m, width_m, paint)
    cabin.polygon(
        paint * np.float32(0.85),
        (0.17, 0.02),
        (0.83, 0.02),
        (0.96, waist),
        (0.96, 0.86),
        (0.04, 0.86),
        (0.04, waist),
    )
    return tuple(sketch.texture(CAR) for sketch in (end, flank, body, cabin))


def make_post(rng: np.random.Generator, height_m: float, width_m: float) -> Texture:
    """A lamp post or the post of a sign."""
    return make_plain(rng, height_m, width_m, POLE, draw_colour(rng, POLE))


def make_clutter(rng: np.random.Generator, height_m: float, width_m: float) -> Texture:
    """A bin or a cabinet: a thing outside the classes, labelled void."""
    return make_plain(rng, height_m, width_m, VOID, draw_colour(rng, CAR))
