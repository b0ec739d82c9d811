"""How fast pairs of frames become training batches: against bare decoding, against keras-cv, and packed.

    python -m benchmarks.input_pipeline [--json=FILE] [--cpu_time] [--rounds=7]

which is `python benchmarks/run.py --only=input_pipeline`.

Files of CamVid's and Cityscapes' size are written to a temporary folder: smooth noise, whose bytes per frame
the first lines print (Cityscapes' own PNG frames have 2.3 MB). An example is a key frame, a partner and a
label map at the paper's settings: scale 0.5–2, crop, flip. Everything runs in two threads, on files that the
system has in memory.

decoding         OpenCV decodes the files of the same examples, and does nothing else
first epoch      `training_batches`, where every file is decoded
packed           the same on the packed form
later epochs     `training_batches` with all key frames kept decoded, as CamVid's are; Cityscapes' do not fit
reduced          the first epoch with --reduced_decoding, for JPEG that is trained at half its size
keras-cv         the same files by tf.io.decode_png or decode_jpeg; both frames stacked to six channels and
                 the label map as their segmentation mask, so that one draw moves all three; JitteredResize
                 (scale, crop, padding) and RandomFlip for each example, in parallel; then batches of uint8
keras-cv cached  the same with the decoded key frames and label maps in tf.data's cache
"""

from __future__ import annotations

import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import keras_cv
import numpy as np
import tensorflow as tf

from benchmarks.frame_files import CLIPS, CONTEXT, PAIRS, Files, settings, write_files
from benchmarks.timing import Options, Row, Target, medians, ratios, take_turns
from taf_keras.config import Config
from taf_keras.datasets.load import load_split
from taf_keras.pack import pack
from taf_keras.pipeline.batches import training_batches
from taf_keras.pipeline.pairing import locate, sample

THREADS = 2

DECODING = "first epoch / decoding"
PACKED = "packed / first epoch"
KERAS_CV = "first epoch / keras-cv"
KERAS_CV_CACHED = "later epochs / keras-cv cached"
REDUCED = "reduced / first epoch"
REDUCED_KERAS_CV = "reduced / keras-cv"
RATIOS = (DECODING, PACKED, KERAS_CV, KERAS_CV_CACHED, REDUCED, REDUCED_KERAS_CV)
TINY = (
    Files("tiny", 48, 64, 32, 2, 1),
    Files("tiny JPEG at half size", 96, 128, 32, 2, 1, form="jpg", image_size=(48, 64)),
)
JPEG = {"height": 1024, "width": 2048, "grain_px": 4, "batches": 3, "form": "jpg"}
SIZES = (
    Files("CamVid", 360, 480, 360, 2, 12, {DECODING: 0.6, KERAS_CV_CACHED: 2.0}),
    Files("Cityscapes", 1024, 2048, 720, 4, 3, {DECODING: 0.6, KERAS_CV: 1.5}),
    Files("Cityscapes as JPEG", crop=720, **JPEG),
    Files(
        "Cityscapes as JPEG at half size",
        crop=360,
        image_size=(512, 1024),
        targets={REDUCED_KERAS_CV: 2.0},
        **JPEG,
    ),
)


# --- Variants: each is called for a round, and returns examples per second ---


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
    decode_frame = tf.io.decode_png if examples[0][0].endswith("png") else tf.io.decode_jpeg

    def decode(path):
        return decode_frame(tf.io.read_file(path), 3)

    def load_key(key, label):
        return decode(key), tf.io.decode_png(tf.io.read_file(label), 1)

    def pair(loaded, key, partner):
        image, ids = loaded
        other = tf.cond(key == partner, lambda: image, lambda: decode(partner))
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
    plain = settings(files, "camvid", root, THREADS)
    packed = settings(files, "packed", root / "packed", THREADS)
    pack(plain.data, root / "packed", ("train",), shard_bytes=256_000_000)
    split = load_split(plain.data, "train")
    later = training_batches(split, replace(plain, runtime=replace(plain.runtime, kept_mb=1000)))
    rate(later, 1, clock)  # an epoch, from which it keeps the key frames; what follows keeps none
    first, same = training_batches(split, plain), training_batches(load_split(packed.data, "train"), packed)
    for a, b, c in zip(first.take(2), same.take(2), later.take(2), strict=True):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])
            np.testing.assert_array_equal(a[name], c[name])
    batches = {"first epoch": first, "packed": same, "later epochs": later}
    if files.image_size is not None:
        reduced = replace(plain, data=replace(plain.data, reduced_decoding=True))
        batches["reduced"] = training_batches(split, reduced)
    examples = sampled_files(plain, PAIRS * (files.batches + 1))[PAIRS:]
    theirs, cached = (keras_cv_batches(examples, files.crop, cached) for cached in (False, True))
    batches |= {"keras-cv": theirs, "keras-cv cached": cached}
    rates = {name: lambda b=b: rate(b, files.batches, clock) for name, b in batches.items()}
    return {"decoding": lambda: decoding(examples, clock)} | rates


# --- The table ---


def measure(files: Files, options: Options) -> dict[str, tuple[float, ...]]:
    """Examples per second of every variant in every round."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_files(files, root)
        return take_turns(files.name, variants(files, root, options.clock), options.rounds)


def rows(options: Options) -> list[Row]:
    found = []
    for files in TINY if options.smoke else SIZES:
        rates = measure(files, options)
        note = medians(rates, "examples/s")
        for compared in RATIOS:
            name, other = compared.split(" / ")
            if name not in rates:
                continue
            least = files.targets.get(compared)
            target = Target("≥", least) if least else None
            speeds = ratios(rates[name], rates[other])
            found.append(Row.of(f"speed of {name}, {files.name}", other, speeds, target, note))
            note = ""  # once for all of them
    return found


if __name__ == "__main__":
    from benchmarks.run import main

    main(["--only=input_pipeline", *sys.argv[1:]])
