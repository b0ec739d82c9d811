"""How fast pairs of frames become training batches: against bare decoding, against keras-cv, and packed.

    python -m benchmarks.input_pipeline [--json=FILE] [--cpu_time] [--rounds=7]

which is `python benchmarks/run.py --only=input_pipeline`.

PNG files of CamVid's and Cityscapes' size are written to a temporary folder: smooth noise, whose bytes per
frame the first lines print (Cityscapes' own frames have 2.3 MB). An example is a key frame, a partner and a
label map at the paper's settings: scale 0.5–2, crop, flip. Everything runs in two threads, on files that the
system has in memory.

decoding         OpenCV decodes the files of the same examples, and does nothing else
first epoch      `training_batches`, where every file is decoded
packed           the same on the packed form
later epochs     `training_batches` with all key frames kept decoded, as CamVid's are; Cityscapes' do not fit
keras-cv         the same files by tf.io.decode_png; both frames stacked to six channels and the label map as
                 their segmentation mask, so that one draw moves all three; JitteredResize (scale, crop,
                 padding) and RandomFlip for each example, in parallel; then batches of uint8
keras-cv cached  the same with the decoded key frames and label maps in tf.data's cache
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import keras_cv
import numpy as np
import tensorflow as tf
from PIL import Image

from benchmarks.timing import Options, Row, Target, medians, ratios, take_turns
from taf_keras.config import Config, DataConfig, RuntimeConfig, TrainingConfig
from taf_keras.datasets.load import load_split
from taf_keras.pack import pack
from taf_keras.pipeline.batches import training_batches
from taf_keras.pipeline.pairing import locate, sample

THREADS = 2
PAIRS = 8  # key frames of a batch: half of the paper's 16 images
CLIPS, CONTEXT = 8, 3
PICTURES = 4  # different ones; PNG is slow to write


@dataclass(frozen=True)
class Files:
    """Files of one size, px; `grain_px` sets their bytes.

    Attributes:
        batches: how many a round reads.
        targets: the least ratios.
    """

    name: str
    height: int
    width: int
    crop: int
    grain_px: int
    batches: int
    targets: dict[str, float]


DECODING = "first epoch / decoding"
PACKED = "packed / first epoch"
KERAS_CV = "first epoch / keras-cv"
KERAS_CV_CACHED = "later epochs / keras-cv cached"
TINY = Files("tiny", 48, 64, 32, 2, 1, {})
SIZES = (
    Files("CamVid", 360, 480, 360, 2, 12, {DECODING: 0.6, KERAS_CV_CACHED: 2.0}),
    Files("Cityscapes", 1024, 2048, 720, 4, 3, {DECODING: 0.6, KERAS_CV: 2.0}),
)


# --- Files ---


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
    """A training split in CamVid's layout: CLIPS videos of one key frame and its neighbours."""
    rng = np.random.default_rng(0)
    for picture in range(PICTURES):
        noise = smooth_noise(rng, files, 3, {128: 40, 32: 25, 8: 12, files.grain_px: 7})
        Image.fromarray(np.clip(128 + noise, 0, 255).astype(np.uint8)).save(root / f"{picture}.png")
        ids = smooth_noise(rng, files, 11, {64: 1}).argmax(axis=-1).astype(np.uint8)
        Image.fromarray(ids).save(root / f"{picture}_label.png")
    for folder in ("train", "trainannot"):
        (root / folder).mkdir()
    for clip in range(CLIPS):
        frames = root / "frames" / f"video{clip}"
        frames.mkdir(parents=True)
        for n in range(2 * CONTEXT + 1):
            target = frames / f"{n:06d}.png" if n != CONTEXT else root / "train" / f"video{clip}_{n:06d}.png"
            shutil.copy(root / f"{(clip + n) % PICTURES}.png", target)
        label = root / "trainannot" / f"video{clip}_{CONTEXT:06d}.png"
        shutil.copy(root / f"{clip % PICTURES}_label.png", label)


# --- Variants: each is called for a round, and returns examples per second ---


def settings(files: Files, dataset: str, folder: Path) -> Config:
    crop = (files.crop, files.crop)
    data = DataConfig(
        dataset, str(folder), crop_size=crop, temporal_context=CONTEXT, min_scale=0.5, max_scale=2.0
    )
    training = TrainingConfig(epochs=1000, batch_size=2 * PAIRS)
    return Config(data, training=training, runtime=RuntimeConfig(reader_threads=THREADS, kept_mb=0))


def sampled_files(config: Config, count: int) -> list[tuple[str, str, str]]:
    """Key frame, partner and label map of the first `count` examples of `training_batches`."""
    data, split, found = config.data, load_split(config.data, "train"), []
    for position in range(count):
        place = locate(position, 0, CLIPS, CLIPS)
        clip = split.clips[place.example]
        scales = (data.min_scale, data.max_scale)
        sampled = sample(place, clip, CONTEXT, config.swap_branches, scales, data.flip)
        found.append((clip.key_frame.image, clip.at(sampled.offset_frames).image, clip.key_frame.label))
    return found


def decoding(examples: list[tuple[str, str, str]], clock) -> float:
    def decode(example) -> None:
        key, partner, label = example
        for image in {key, partner}:  # one where the offset is 0
            cv2.imdecode(np.fromfile(image, np.uint8), cv2.IMREAD_COLOR)
        cv2.imdecode(np.fromfile(label, np.uint8), cv2.IMREAD_UNCHANGED)

    started = clock()
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(decode, examples):
            pass
    return len(examples) / (clock() - started)


def rate(dataset: tf.data.Dataset, count: int, clock) -> float:
    iterator = iter(dataset)
    next(iterator)  # the readers are at work from here on
    started = clock()
    for _ in range(count):
        next(iterator)
    return PAIRS * count / (clock() - started)


def keras_cv_batches(examples: list[tuple[str, str, str]], crop: int, cached: bool) -> tf.data.Dataset:
    scale_and_crop = keras_cv.layers.JitteredResize(target_size=(crop, crop), scale_factor=(0.5, 2.0))
    flip = keras_cv.layers.RandomFlip()

    def load_key(key, label):
        return tf.io.decode_png(tf.io.read_file(key), 3), tf.io.decode_png(tf.io.read_file(label), 1)

    def pair(loaded, key, partner):
        image, ids = loaded
        other = tf.cond(key == partner, lambda: image, lambda: tf.io.decode_png(tf.io.read_file(partner), 3))
        inputs = {"images": tf.concat([image, other], axis=-1), "segmentation_masks": ids}
        return {name: tf.cast(x, tf.uint8) for name, x in flip(scale_and_crop(inputs)).items()}

    # A batch is an epoch here. In an order that never changes, cached key frames meet their own partners.
    ordered = [e for i in range(0, len(examples), PAIRS) for e in sorted(examples[i : i + PAIRS])]
    keys, partners, labels = map(list, zip(*ordered, strict=True))
    loaded = tf.data.Dataset.from_tensor_slices((keys[:PAIRS], labels[:PAIRS]))
    loaded = loaded.map(load_key, num_parallel_calls=THREADS)
    loaded = loaded.cache() if cached else loaded
    pairs = tf.data.Dataset.zip(
        (loaded.repeat(), *(tf.data.Dataset.from_tensor_slices(x).repeat() for x in (keys, partners)))
    )
    return pairs.map(pair, num_parallel_calls=THREADS).batch(PAIRS).prefetch(2)


def variants(files: Files, root: Path, clock) -> dict:
    """Name -> function of no arguments."""
    plain, packed = settings(files, "camvid", root), settings(files, "packed", root / "packed")
    pack(plain.data, root / "packed", ("train",), shard_bytes=256_000_000)
    split = load_split(plain.data, "train")
    later = training_batches(split, replace(plain, runtime=replace(plain.runtime, kept_mb=1000)))
    rate(later, 1, clock)  # an epoch, from which it keeps the key frames; what follows keeps none
    first, same = training_batches(split, plain), training_batches(load_split(packed.data, "train"), packed)
    for a, b, c in zip(first.take(2), same.take(2), later.take(2), strict=True):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])
            np.testing.assert_array_equal(a[name], c[name])
    examples = sampled_files(plain, PAIRS * (files.batches + 1))[PAIRS:]
    theirs, cached = (keras_cv_batches(examples, files.crop, cached) for cached in (False, True))
    return {
        "decoding": lambda: decoding(examples, clock),
        "first epoch": lambda: rate(first, files.batches, clock),
        "packed": lambda: rate(same, files.batches, clock),
        "later epochs": lambda: rate(later, files.batches, clock),
        "keras-cv": lambda: rate(theirs, files.batches, clock),
        "keras-cv cached": lambda: rate(cached, files.batches, clock),
    }


# --- The table ---


def measure(files: Files, options: Options) -> dict[str, tuple[float, ...]]:
    """Examples per second of every variant in every round."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_files(files, root)
        size = [np.mean([path.stat().st_size for path in root.glob(p)]) for p in ("?.png", "*_label.png")]
        kilobytes = f"{size[0] / 1e3:.0f} kB, label maps {size[1] / 1e3:.0f} kB"
        print(f"{files.name}: {files.height}x{files.width} px, {kilobytes}")
        return take_turns(files.name, variants(files, root, options.clock), options.rounds)


def rows(options: Options) -> list[Row]:
    found = []
    for files in (TINY,) if options.smoke else SIZES:
        rates = measure(files, options)
        note = medians(rates, "examples/s")
        for compared in (DECODING, PACKED, KERAS_CV, KERAS_CV_CACHED):
            name, other = compared.split(" / ")
            least = files.targets.get(compared)
            target = Target("≥", least) if least else None
            speeds = ratios(rates[name], rates[other])
            found.append(Row.of(f"speed of {name}, {files.name}", other, speeds, target, note))
            note = ""  # once for all four
    return found


if __name__ == "__main__":
    from benchmarks.run import main

    main(["--only=input_pipeline", *sys.argv[1:]])
