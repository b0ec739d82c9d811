"""Files of frames and label maps in CamVid's and Cityscapes' sizes, for benchmarks of reading."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from taf_keras.config import Config, DataConfig, RuntimeConfig, TrainingConfig

PAIRS = 8  # key frames of a batch: half of the paper's 16 images
CLIPS, CONTEXT = 8, 3
PICTURES = 4  # different ones; PNG is slow to write
QUALITY = 95  # of JPEG


@dataclass(frozen=True)
class Files:
    """Files of one size, px; `grain_px` sets their bytes.

    Attributes:
        batches: how many a round reads.
        targets: the least ratios.
        form: of the frames, png or jpg. Label maps are PNG.
        image_size: to which frames are resized, if they are.
        reduced: whether `settings` decodes them at a fraction of their size.
    """

    name: str
    height: int
    width: int
    crop: int
    grain_px: int
    batches: int
    targets: dict[str, float] = field(default_factory=dict)
    form: str = "png"
    image_size: tuple[int, int] | None = None
    reduced: bool = False


def smooth_noise(rng, files: Files, channels: int, cells: dict[int, float]) -> np.ndarray:
    """float32 (height, width, channels): noise of each cell size, px, with its standard deviation."""
    noise = np.zeros((files.height, files.width, channels), np.float32)
    for cell, deviation in cells.items():
        shape = (files.height // cell + 2, files.width // cell + 2)
        # Mostly grey, as pictures are.
        field = rng.normal(0, deviation, (*shape, 1)) + rng.normal(0, deviation / 4, (*shape, channels))
        size = (files.width, files.height)
        noise += cv2.resize(field.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    return noise


def write_files(files: Files, root: Path) -> None:
    """A training split in CamVid's layout: CLIPS videos of a key frame and its neighbours. Prints bytes."""
    rng = np.random.default_rng(0)
    options = {"quality": QUALITY} if files.form == "jpg" else {}
    for picture in range(PICTURES):
        noise = smooth_noise(rng, files, 3, {128: 40, 32: 25, 8: 12, files.grain_px: 7})
        pixels = np.clip(128 + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / f"{picture}.{files.form}", **options)
        ids = smooth_noise(rng, files, 11, {64: 1}).argmax(axis=-1).astype(np.uint8)
        Image.fromarray(ids).save(root / f"{picture}_label.png")
    for folder in ("train", "trainannot"):
        (root / folder).mkdir()
    for clip in range(CLIPS):
        frames, key = root / "frames" / f"video{clip}", f"video{clip}_{CONTEXT:06d}"
        frames.mkdir(parents=True)
        for n in range(2 * CONTEXT + 1):
            target = frames / f"{n:06d}" if n != CONTEXT else root / "train" / key
            shutil.copy(root / f"{(clip + n) % PICTURES}.{files.form}", f"{target}.{files.form}")
        shutil.copy(root / f"{clip % PICTURES}_label.png", root / "trainannot" / f"{key}.png")
    patterns = (f"?.{files.form}", "*_label.png")
    size = [np.mean([path.stat().st_size for path in root.glob(pattern)]) for pattern in patterns]
    kilobytes = f"{size[0] / 1e3:.0f} kB, label maps {size[1] / 1e3:.0f} kB"
    print(f"{files.name}: {files.height}x{files.width} px, {files.form} of {kilobytes}")


def settings(files: Files, dataset: str, folder: Path, threads: int) -> Config:
    """The paper's augmentation, with nothing kept decoded."""
    data = DataConfig(
        dataset,
        str(folder),
        image_size=files.image_size,
        reduced_decoding=files.reduced,
        crop_size=(files.crop, files.crop),
        temporal_context=CONTEXT,
        min_scale=0.5,
        max_scale=2.0,
    )
    training = TrainingConfig(epochs=1000, batch_size=2 * PAIRS)
    return Config(data, training=training, runtime=RuntimeConfig(reader_threads=threads, kept_mb=0))
