"""How a scene looks at one time: light, weather and sensor noise.

Within a clip the appearance drifts quickly, between clips it differs less. This asymmetry is what the
data set is about: a key frame shows one lighting of its scene and its neighbours show others, so
unlabelled frames have something to teach that other key frames do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taf_keras.streets.config import SyntheticConfig
from taf_keras.streets.motion import ou_process

GRID = (3, 4, 3)  # rows, columns and colour channels of the local lighting field

# Standard deviations within a clip at drift = 1.
GAIN_SD = 0.35  # of the log of the exposure
TEMPERATURE_SD = 0.15  # of the log of red / green, and of green / blue
CONTRAST_SD = 0.2  # of the log of the contrast about mid-grey
HAZE_MEAN, HAZE_SD, HAZE_MAX = 0.1, 0.1, 0.4  # share of haze at infinity
EXPOSURE = 0.9  # gain where nothing drifts
MID_GREY = 0.45
HAZE_COLOUR = 0.75


@dataclass(frozen=True, eq=False)
class Appearance:
    """The appearance of one frame.

    Attributes:
        gain: (3,), linear gain of red, green and blue: exposure and colour temperature together.
        contrast: factor about mid-grey.
        haze: share of haze in front of something infinitely far, 0 … HAZE_MAX.
        local: float64 `GRID`, log-gains of the local lighting field.
    """

    gain: np.ndarray
    contrast: float
    haze: float
    local: np.ndarray


def draw_appearance(rng: np.random.Generator, config: SyntheticConfig) -> dict[int, Appearance]:
    """Appearance at every offset -half_length … half_length.

    All parameters are `drift` times (a constant of the clip plus an Ornstein–Uhlenbeck process), the
    constant's standard deviation being `between_clip_share` of the process's.
    """
    half = config.half_length
    count = 4 + GRID[0] * GRID[1] * GRID[2]
    mean = config.between_clip_share * rng.standard_normal(count)
    drift = ou_process(rng, 2 * half + 1, count, config.drift_correlation_frames)
    values = config.drift * (mean + drift)
    frames = {}
    for offset, value in zip(range(-half, half + 1), values, strict=True):
        temperature = TEMPERATURE_SD * value[1]
        frames[offset] = Appearance(
            gain=EXPOSURE * np.exp(GAIN_SD * value[0] + np.array((temperature, 0.0, -temperature))),
            contrast=float(np.exp(CONTRAST_SD * value[2])),
            haze=float(np.clip(HAZE_MEAN + HAZE_SD * value[3], 0, HAZE_MAX)),
            local=config.local_light * value[4:].reshape(GRID),
        )
    return frames


def _cubic_weights(size: int, knots: int) -> np.ndarray:
    """Weights of bicubic enlargement along one axis, float64 (size, knots); edges repeat."""
    position = (np.arange(size) + 0.5) * knots / size - 0.5
    first = np.floor(position).astype(int) - 1
    weights = np.zeros((size, knots))
    for tap in range(4):
        t = np.abs(position - (first + tap))
        inner = (1.5 * t - 2.5) * t * t + 1  # Catmull–Rom
        outer = ((-0.5 * t + 2.5) * t - 4) * t + 2
        np.add.at(
            weights, (np.arange(size), np.clip(first + tap, 0, knots - 1)), np.where(t < 1, inner, outer)
        )
    return weights


def enlarge(grid: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bicubic enlargement of (rows, columns, channels) to (height, width, channels), float64.

    Sums are written out term by term: a matrix product would add in an order that depends on the machine.
    """
    down, across = _cubic_weights(height, grid.shape[0]), _cubic_weights(width, grid.shape[1])
    rows = sum(down[:, i, None, None] * grid[i] for i in range(grid.shape[0]))  # (height, columns, channels)
    return sum(across[:, i, None] * rows[:, i, None] for i in range(grid.shape[1]))


def light(
    image: np.ndarray, haze: np.ndarray, appearance: Appearance, noise_sd: float, rng: np.random.Generator
) -> np.ndarray:
    """Turns a rendered image into what the camera delivers.

    Args:
        image: uint8 (height, width, 3), RGB as rendered.
        haze: uint8 (height, width), share of the haze in front of each pixel, 255 = all.
        appearance: the frame's appearance.
        noise_sd: standard deviation of the sensor noise, relative to full scale.
        rng: the frame's own source of noise.

    Returns:
        uint8 (height, width, 3).
    """
    height, width = haze.shape
    value = image / 255.0
    value += (appearance.haze / 255.0) * haze[..., None] * (HAZE_COLOUR - value)
    value = MID_GREY + appearance.contrast * (value - MID_GREY)
    value *= appearance.gain * np.exp(enlarge(appearance.local, height, width))
    value += noise_sd * rng.standard_normal(value.shape, np.float32)
    return np.clip(value * 255 + 0.5, 0, 255).astype(np.uint8)
