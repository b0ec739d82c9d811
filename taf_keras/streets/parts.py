"""The records a scene is made of: upright rectangles with textures, in metres.

Axes: x to the right, y up from the ground, z along the street; x = 0 is the middle of the road and
z = 0 the camera's position at the key frame.
"""

from __future__ import annotations

from dataclasses import dataclass

from taf_keras.streets.texture import Texture


@dataclass(frozen=True, eq=False)
class Board:
    """An upright rectangle across the street, facing the camera."""

    texture: Texture
    x0: float
    x1: float
    y0: float
    y1: float
    z: float


@dataclass(frozen=True, eq=False)
class Wall:
    """An upright rectangle along the street; seen from its left (`faces` = -1) or right (1) side only."""

    texture: Texture
    x: float
    z0: float
    z1: float
    y0: float
    y1: float
    faces: int


@dataclass(frozen=True, eq=False)
class Thing:
    """A thing that stands or moves between the rows of houses.

    Attributes:
        x, z: position at the key frame in metres; its parts are placed relative to it.
        phases: its parts, far to near, once per phase of its movement.
        vx, vz: velocity, metres per frame.
        stride_frames: frames per phase.
        shadow: half width and length in metres of the dark ground below it; (0, 0) for none.
    """

    x: float
    z: float
    phases: tuple[tuple[Board | Wall, ...], ...]
    vx: float = 0.0
    vz: float = 0.0
    stride_frames: float = 5.0
    shadow: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Street:
    """Dimensions of the street and the camera's place in it.

    Attributes:
        focal: focal length as a fraction of the image width.
        camera_x, camera_height: the camera's place across the street and above the ground, metres.
        horizon: the horizon's height in the image, as a fraction from the top.
        road_half: half the width of the road, metres.
        parked_x: distance of the rows of parked cars from the middle, metres.
        house_x: distance of the rows of houses from the middle, metres.
        side: 1 where the camera keeps to the right of the road, -1 where to the left.
    """

    focal: float
    camera_x: float
    camera_height: float
    horizon: float
    road_half: float
    parked_x: float
    house_x: float
    side: int


@dataclass(frozen=True, eq=False)
class Scene:
    """A street and everything in it.

    Attributes:
        street: its dimensions.
        ground, panorama: textures of the ground plane and of what lies at infinity.
        ground_half_m: half the width that `ground` covers.
        rows: what stands at the sides, in painting order (far to near), none of it inside the street.
        things: what stands and moves inside the street.
    """

    street: Street
    ground: Texture
    panorama: Texture
    ground_half_m: float
    rows: tuple[Board | Wall, ...]
    things: tuple[Thing, ...]
