"""Made-up clips whose motion, light and places are known, and what a survey could have found."""

import cv2
import numpy as np

from taf_keras.advice.motion import Motion
from taf_keras.advice.places import SAME, Places
from taf_keras.advice.survey import Survey
from taf_keras.clips.clip import ClassTable, Clip, Frame, Split
from taf_keras.config import DataConfig

CLASSES = ClassTable(("road", "car"), ((255, 0, 0), (0, 255, 0)))


def texture(height: int, width: int, seed: int = 0, grain_px: float = 2) -> np.ndarray:
    """Smooth noise in colour, uint8 (height, width, 3)."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), grain_px)
    return np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def moving(px: float, offsets, size=(96, 128), seed: int = 0) -> dict[int, np.ndarray]:
    """{offset: picture} of a texture that moves to the left by `px` a frame."""
    reach = round(px * max(map(abs, offsets)))
    wide = texture(size[0], size[1] + 2 * reach, seed)
    starts = {n: reach + round(px * n) for n in offsets}
    return {n: np.ascontiguousarray(wide[:, at : at + size[1]]) for n, at in starts.items()}


def clip_of(pictures: dict[int, np.ndarray], labels: dict[int, np.ndarray], name: str = "clip") -> Clip:
    frames = tuple(Frame(100 + n, pictures[n], labels.get(n)) for n in sorted(pictures))
    return Clip(name, frames, 100)


def split_of(*clips: Clip, name: str = "train") -> Split:
    return Split(name, clips, CLASSES)


def survey_of(
    px=3.0,
    light=20.0,
    places=SAME,
    key_frames=40,
    labelled=40,
    frames=1240,
    gap=1,
    farthest=15,
    returns=0.9,
    has_val=True,
    **data,
) -> Survey:
    """What could be found of clips at 96x128 px; `gap` and `farthest` are frames to partners."""
    motion = Motion(
        "train", 40, (96, 128), gap, px, returns, {"car": 2 * px, "road": px}, {1: 10.0, 5: light}, {}
    )
    return Survey(
        data=DataConfig(**{"dataset": "manifest", "data_dir": "DATA"} | data),
        train=split_of(),
        found=key_frames,
        motion=motion,
        partner_gap=gap,
        farthest=farthest,
        key_frames=key_frames,
        labelled=labelled,
        frames=frames,
        class_change={},
        class_change_split="train",
        has_val=has_val,
        places=Places(places, "made up"),
    )
