"""What changes over time: Ornstein–Uhlenbeck processes and the camera's path."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from taf_keras.streets.config import SyntheticConfig

TREMOR_FRAMES = 6.0  # correlation time of the camera's tremor


def ou_process(rng: np.random.Generator, steps: int, count: int, correlation: float) -> np.ndarray:
    """Stationary Ornstein–Uhlenbeck processes, sampled once per frame.

    Args:
        rng: source of the increments.
        steps: number of consecutive frames.
        count: number of independent processes.
        correlation: correlation time in frames: corr(x[t], x[t + n]) = exp(-n / correlation).

    Returns:
        float64 (steps, count), mean 0 and variance 1 at every step.
    """
    keep = math.exp(-1 / correlation)
    innovation = math.sqrt(1 - keep * keep)
    values = rng.standard_normal((steps, count))
    for step in range(1, steps):
        values[step] = keep * values[step - 1] + innovation * values[step]
    return values


@dataclass(frozen=True)
class Pose:
    """The camera at one time.

    Attributes:
        x_m, z_m: position across and along the street, relative to the key frame's without tremor.
        height_m: change of its height above the ground.
        yaw, pitch: shift of the picture, as a fraction of its width and height.
    """

    x_m: float = 0.0
    z_m: float = 0.0
    height_m: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0


def draw_path(rng: np.random.Generator, config: SyntheticConfig) -> dict[int, Pose]:
    """Pose of the camera at every offset -half_length … half_length: slow, straight, with a tremor.

    The path is simulated in full whichever frames are rendered, so that a frame does not depend on
    the others.
    """
    half = config.half_length
    still = rng.random() < config.still_share
    speed = rng.uniform(0.0, config.max_speed_m)
    yaw, period, phase = rng.uniform(0.0, 0.02), rng.uniform(25, 60), rng.uniform(0, 2 * math.pi)
    tremor = config.pose_jitter * ou_process(rng, 2 * half + 1, 4, TREMOR_FRAMES)
    if still:
        return dict.fromkeys(range(-half, half + 1), Pose())
    return {
        offset: Pose(
            x_m=0.03 * float(shake[0]),
            z_m=speed * offset,
            height_m=0.008 * float(shake[1]),
            yaw=config.pose_jitter * yaw * math.sin(2 * math.pi * offset / period + phase)
            + 0.003 * float(shake[2]),
            pitch=0.003 * float(shake[3]),
        )
        for offset, shake in zip(range(-half, half + 1), tremor, strict=True)
    }
