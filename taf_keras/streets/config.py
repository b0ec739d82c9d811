"""What can be chosen about the synthetic street scenes, and the classes they are labelled with."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from taf_keras.clips.clip import ClassTable
from taf_keras.errors import UserError

GENERATOR_VERSION = (
    1  # raise it whenever one pixel of any clip changes: it is part of every seed and cache key
)
SPARSE_OFFSETS = (
    -14,
    -7,
    -3,
    0,
    3,
    7,
    14,
)  # frames of a val or test clip: what the swap curves need (Fig. 4)
KEY_NUMBER = 100

CLASSES = ClassTable(
    names=("sky", "building", "pole", "road", "pavement", "tree", "sign", "car", "pedestrian", "fence"),
    colours=(
        (70, 130, 180),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (244, 35, 232),
        (107, 142, 35),
        (220, 220, 0),
        (0, 0, 142),
        (220, 20, 60),
        (190, 153, 153),
    ),
)
SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, CAR, PEDESTRIAN, FENCE = range(10)

_AT_LEAST = {"height": 8, "width": 8, "train_clips": 1, "val_clips": 1, "test_clips": 1}


@dataclass(frozen=True)
class SyntheticConfig:
    """Size, amount and motion of the scenes. The defaults are ours; the paper has no synthetic data.

    Attributes:
        scene_seed: another seed is another city: no scene in common.
        height, width: image size in pixels, at least 8.
        train_clips, val_clips, test_clips: clips per split, at least 1. Clip k is the same in any number.
        half_length: training clips have the frames -half_length … half_length around their key
            frame, 0–99; val and test clips those of `SPARSE_OFFSETS` that lie within.
        max_speed_m: fastest ego motion, metres per frame; every clip draws 0 … this.
        still_share: share of clips whose camera does not move at all, 0–1.
        pose_jitter: scale of the moving camera's tremor and yaw; 0 is none.
        object_speed: scale of the motion of cars (±0.4 m per frame) and pedestrians (±0.05).
        drift: scale of all appearance changes, within and between clips; 0 is constant light.
        drift_correlation_frames: correlation time of the drift, > 0.
        local_light: standard deviation of the local log-gains within a clip.
        between_clip_share: spread of the clips' mean appearance, relative to the spread within a clip.
        sensor_noise: standard deviation of the pixel noise, relative to full scale.
    """

    scene_seed: int = 0
    height: int = 96
    width: int = 128
    train_clips: int = 32
    val_clips: int = 40
    test_clips: int = 100
    half_length: int = 15
    max_speed_m: float = 0.3
    still_share: float = 0.15
    pose_jitter: float = 1.0
    object_speed: float = 1.0
    drift: float = 1.0
    drift_correlation_frames: float = 3.0
    local_light: float = 0.25
    between_clip_share: float = 0.3
    sensor_noise: float = 0.03

    def __post_init__(self):
        for field in fields(self):
            value, low = getattr(self, field.name), _AT_LEAST.get(field.name, 0)
            if not (math.isfinite(value) and value >= low):
                raise UserError(f"synthetic data: {field.name} must be at least {low}, got {value}")
        if self.half_length >= KEY_NUMBER:
            raise UserError(f"synthetic data: half_length must be below {KEY_NUMBER}, got {self.half_length}")
        if self.still_share > 1:
            raise UserError(f"synthetic data: still_share must be within 0–1, got {self.still_share}")
        if self.drift_correlation_frames == 0:
            raise UserError("synthetic data: drift_correlation_frames must be above 0, got 0")

    def clip_count(self, split: str) -> int:
        """Number of clips of `split`: train, val or test."""
        return {"train": self.train_clips, "val": self.val_clips, "test": self.test_clips}[split]

    def offsets(self, split: str) -> tuple[int, ...]:
        """Offsets in frames, ascending, at which the clips of `split` have frames; 0 is the key frame."""
        if split == "train":
            return tuple(range(-self.half_length, self.half_length + 1))
        return tuple(n for n in SPARSE_OFFSETS if abs(n) <= self.half_length)
