"""Textures of what a street is built of: ground, façades, fences, foliage, and the far panorama."""

from __future__ import annotations

import numpy as np

from taf_keras.streets.config import BUILDING, FENCE, PAVEMENT, ROAD, SKY, TREE
from taf_keras.streets.noise import draw_colour, draw_noise
from taf_keras.streets.texture import CLEAR, Texture, make_texture, texel_grid, tinted

GROUND_PERIOD_M = 24.0  # the ground repeats along the street
PANORAMA_WIDTH, PANORAMA_HEIGHT = 3.0, 1.0  # in focal lengths: tangents of the angles it covers


def _coordinates(rows: int, columns: int, height_m: float, width_m: float):
    """Metres below the top (rows, 1) and from the left (1, columns) of the texel centres, float32."""
    down = (np.arange(rows, dtype=np.float32) + np.float32(0.5)) * np.float32(height_m / rows)
    right = (np.arange(columns, dtype=np.float32) + np.float32(0.5)) * np.float32(width_m / columns)
    return down[:, None], right[None, :]


def _band(position: np.ndarray, period: float, low: float, high: float) -> np.ndarray:
    """Where `position` modulo `period` lies within low … high (metres)."""
    phase = position % np.float32(period)
    return (phase >= low) & (phase < high)


def make_ground(rng: np.random.Generator, road_half_m: float, half_width_m: float) -> Texture:
    """Road with lane marks between kerbs and tiled pavements, 2 · `half_width_m` wide, one period long.

    Rows run along the street (row 0 at z = 0), columns from left to right.
    """
    rows, columns = texel_grid(GROUND_PERIOD_M, 2 * half_width_m, 20)
    z, x = _coordinates(rows, columns, GROUND_PERIOD_M, 2 * half_width_m)
    x = x - np.float32(half_width_m)
    aside = np.abs(x)
    rough, stains = draw_noise(rng, rows, columns), draw_noise(rng, rows, columns, "smooth")
    shade = rough * np.float32(rng.uniform(0.15, 0.35)) + stains * np.float32(rng.uniform(0.1, 0.3))

    is_road = np.broadcast_to(aside < road_half_m, (rows, columns))
    road, pavement = draw_colour(rng, ROAD), draw_colour(rng, PAVEMENT)
    rgb = np.where(is_road[..., None], road, pavement).astype(np.float32)

    tile_m, tile_long_m = rng.uniform(0.4, 1.2), rng.choice([0.5, 0.75, 1.0, 1.5])
    joints = (_band(aside, tile_m, 0, 0.07) | _band(z, tile_long_m, 0, 0.07)) & ~is_road
    rgb[joints] *= np.float32(rng.uniform(0.6, 0.85))
    kerb = np.broadcast_to((aside >= road_half_m) & (aside < road_half_m + 0.22), (rows, columns))
    rgb[kerb] *= np.float32(rng.uniform(0.75, 1.35))

    mark = np.float32(rng.uniform(150, 225))
    dash_m = rng.choice([4.0, 6.0, 8.0])  # divides the period, so dashes meet where the ground repeats
    marks = _band(z, dash_m, 0, dash_m * rng.uniform(0.35, 0.6)) & (aside < rng.uniform(0.07, 0.12))
    if rng.random() < 0.5:
        marks = marks | ((aside > road_half_m - 0.45) & (aside < road_half_m - 0.3))
    rgb[marks & is_road] = mark
    rgb *= (1 + shade)[..., None]
    return make_texture(rgb, np.where(is_road, ROAD, PAVEMENT), GROUND_PERIOD_M, 2 * half_width_m)


def make_facade(rng: np.random.Generator, width_m: float, height_m: float, windows: bool = True) -> Texture:
    """A house front with rows of windows, a ground floor of its own and a cornice or a roof."""
    rows, columns = texel_grid(height_m, width_m, 14)
    down, right = _coordinates(rows, columns, height_m, width_m)
    up = height_m - down
    wall = draw_colour(rng, BUILDING)
    noise = draw_noise(rng, rows, columns)
    rgb = tinted(wall, noise, rng.uniform(0.12, 0.3))
    if rng.random() < 0.4:  # courses of brick or panels
        rgb[np.broadcast_to(_band(up, rng.uniform(0.3, 0.9), 0, 0.09), (rows, columns))] *= np.float32(0.85)

    if windows:
        storey, pitch = rng.uniform(2.6, 3.4), rng.uniform(1.5, 3.0)
        wide, sill, tall = pitch * rng.uniform(0.35, 0.65), rng.uniform(0.7, 1.0), rng.uniform(1.1, 1.7)
        margin = (width_m % pitch) / 2
        upper = (up > storey) & (up < height_m - 0.5)
        across = _band(right - margin, pitch, (pitch - wide) / 2, (pitch + wide) / 2)
        surround = _band(right - margin, pitch, (pitch - wide) / 2 - 0.14, (pitch + wide) / 2 + 0.14)
        glass = across & _band(up, storey, sill, sill + tall) & upper
        frame = surround & _band(up, storey, sill - 0.14, sill + tall + 0.14) & upper & ~glass
        # Every pane has its own brightness: some mirror the sky, some are dark, some have curtains.
        panes = rng.uniform(0.35, 1.6, (16, 24)).astype(np.float32)
        pane = panes[(up // storey).astype(int) % 16, ((right - margin) // pitch).astype(int) % 24]
        glass_colour = rng.uniform(40, 110) + rng.normal(0, 10, 3)
        rgb[frame] *= np.float32(rng.choice([0.7, 1.3]))
        rgb[glass] = (pane[..., None] * glass_colour.astype(np.float32))[glass]

        # The ground floor: shop windows or a door between plain walls.
        shop = rng.uniform(2.0, 4.5)
        opening = _band(right, shop, shop * 0.2, shop * rng.uniform(0.5, 0.85)) & (up < storey * 0.75)
        opening &= up > (0.6 if rng.random() < 0.6 else 0.0)
        rgb[np.broadcast_to((up < storey * 0.9), (rows, columns))] *= np.float32(rng.uniform(0.7, 1.2))
        rgb[opening] = tinted(draw_colour(rng, BUILDING) * np.float32(0.6), noise, 0.3)[opening]

    if rng.random() < 0.5:  # a roof seen from below, in its own colour
        roof_m = rng.uniform(0.15, 0.25) * height_m
        roof = tinted(draw_colour(rng, BUILDING) * np.float32(0.75), noise, 0.25)
        rgb = np.where((down < roof_m)[..., None], roof, rgb)
    else:
        rgb[np.broadcast_to(_band(down, 1000, 0.1, 0.4), (rows, columns))] *= np.float32(
            rng.choice([0.7, 1.25])
        )
    return make_texture(rgb, BUILDING, height_m, width_m)


def make_fence(rng: np.random.Generator, width_m: float, height_m: float) -> Texture:
    """A picket fence, a railing or a garden wall; what shows between its bars is labelled fence too."""
    rows, columns = texel_grid(height_m, width_m, 20)
    down, right = _coordinates(rows, columns, height_m, width_m)
    noise = draw_noise(rng, rows, columns)
    bars = tinted(draw_colour(rng, FENCE), noise, 0.2)
    between = bars * np.float32(rng.uniform(0.35, 0.7))
    pitch = rng.uniform(0.25, 0.6)
    solid = _band(right, pitch, 0, pitch * rng.uniform(0.45, 0.8))
    solid = solid | _band(down, 1000, 0.15, 0.28) | (down > height_m - 0.25)
    posts = _band(right, rng.uniform(1.8, 3.0), 0, 0.18)
    rgb = np.where((solid | posts)[..., None], bars, between)
    notch = ~solid & ~posts & (down < 0.12)  # pickets stand out above the rail
    return make_texture(rgb, np.where(notch, CLEAR, FENCE), height_m, width_m)


def make_foliage(rng: np.random.Generator, width_m: float, height_m: float, ragged_m: float) -> Texture:
    """A hedge or a row of trees with a ragged upper edge, `ragged_m` deep."""
    rows, columns = texel_grid(height_m, width_m, 12)
    down, _ = _coordinates(rows, columns, height_m, width_m)
    leaves = draw_noise(rng, rows, columns, "leafy")
    rgb = tinted(draw_colour(rng, TREE), leaves, rng.uniform(0.5, 0.8))
    rgb *= 1.1 - 0.5 * (down / np.float32(height_m))[..., None]  # darker towards the ground
    profile = draw_noise(rng, 1, columns) * np.float32(0.6 * ragged_m) + np.float32(0.55 * ragged_m)
    clear = down + leaves * np.float32(0.25 * ragged_m) < profile
    return make_texture(rgb, np.where(clear, CLEAR, TREE), height_m, width_m)


def make_panorama(rng: np.random.Generator) -> Texture:
    """Sky with clouds over a far skyline of houses and woods; its bottom edge is the horizon.

    "Metres" of this texture are tangents of angles: it lies at infinity.
    """
    rows, columns = 256, 768
    up = 1 - (np.arange(rows, dtype=np.float32)[:, None] + np.float32(0.5)) / np.float32(rows)
    zenith, horizon = draw_colour(rng, SKY, 0.7), draw_colour(rng, SKY, 0.7)
    rgb = zenith * up[..., None] + horizon * (1 - up[..., None])
    rgb = np.broadcast_to(rgb, (rows, columns, 3)).copy()
    cloud = np.clip(draw_noise(rng, rows, columns, "smooth") * 2 + np.float32(rng.uniform(-0.8, 0.6)), 0, 1)
    rgb += cloud[..., None] * (np.float32(rng.uniform(120, 235)) - rgb) * np.float32(0.8)
    labels = np.full((rows, columns), SKY, np.uint8)

    column = 0
    while column < columns:  # blocks of houses, or woods with a soft edge
        step = int(rng.integers(8, 40))
        block = slice(column, column + step)
        column += step
        width = rgb[:, block].shape[1]
        wooded = rng.random() < 0.4
        edge = np.float32(rng.uniform(0.02, 0.06) if wooded else rng.uniform(0.02, 0.13))
        texture = draw_noise(rng, rows, width, "leafy" if wooded else "rough")
        inside = up + (texture * np.float32(0.015) if wooded else 0 * texture) < edge
        colour = draw_colour(rng, TREE if wooded else BUILDING)
        rgb[:, block][inside] = tinted(colour, texture, 0.35)[inside]
        labels[:, block][inside] = TREE if wooded else BUILDING
    return make_texture(rgb, labels, PANORAMA_HEIGHT, PANORAMA_WIDTH)
