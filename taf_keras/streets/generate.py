"""A clip from its seed: scene, motion and light put together."""

from __future__ import annotations

import functools
import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import cv2
import numpy as np

from taf_keras.config import SPLITS, usable_cores
from taf_keras.errors import UserError
from taf_keras.streets.config import GENERATOR_VERSION, KEY_NUMBER, SyntheticConfig
from taf_keras.streets.lighting import draw_appearance, light
from taf_keras.streets.motion import draw_path
from taf_keras.streets.render import render
from taf_keras.streets.scene import draw_scene

_SCENE, _PATH, _LIGHT, _NOISE = range(4)  # one random stream each: changing the drift keeps the scene
_POOL_FROM_FRAMES = 100  # starting processes costs more than it saves below


def make_clip(config: SyntheticConfig, split: str, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Generates clip `index` of `split`; it depends on nothing but these and the generator's version.

    What is guaranteed: the same bytes with any number of processes and threads. Pixels come from
    integer operations, IEEE arithmetic in a fixed order and `exp` in double precision, so machines with
    other vector units agree too, unless the last bit of an `exp` falls on a rounding boundary. NumPy
    may change its random streams between releases; a test pins the bytes.

    Returns:
        images: uint8 (frames, height, width, 3), RGB, at the offsets `config.offsets(split)`.
        labels: uint8 (frames, height, width), train ids.
    """

    def stream(*purpose: int) -> np.random.Generator:
        seed = (GENERATOR_VERSION, config.scene_seed, SPLITS.index(split), index, *purpose)
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))

    scene = draw_scene(stream(_SCENE), config)
    path = draw_path(stream(_PATH), config)
    appearance = draw_appearance(stream(_LIGHT), config)
    images, labels = [], []
    for offset in config.offsets(split):
        image, label, haze = render(scene, path[offset], offset, config.height, config.width)
        noise = stream(_NOISE, KEY_NUMBER + offset)
        images.append(light(image, haze, appearance[offset], config.sensor_noise, noise))
        labels.append(label)
    return np.stack(images), np.stack(labels)


def _can_spawn() -> bool:
    """Whether a spawned process can import the running program: not where it came from standard input."""
    file = getattr(sys.modules["__main__"], "__file__", None)
    return file is None or os.path.exists(file)


def _one_thread() -> None:
    cv2.setNumThreads(1)  # the pool already has one process per core


def make_clips(
    config: SyntheticConfig, split: str, processes: int | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Generates all clips of a split, in order.

    Args:
        config: what to generate.
        split: "train", "val" or "test".
        processes: how many processes to use; None means one per core, but only this one for a few frames.

    Yields:
        Images and labels of each clip, see `make_clip`.

    Raises:
        UserError: a process died.
    """
    count = config.clip_count(split)
    if processes is None:
        many = count * len(config.offsets(split)) >= _POOL_FROM_FRAMES
        processes = usable_cores() if many and _can_spawn() else 1
    processes = min(processes, count)
    make = functools.partial(make_clip, config, split)
    if processes == 1:
        yield from map(make, range(count))
        return
    # "spawn": a forked child of a process that runs TensorFlow may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_one_thread) as pool:
        try:
            yield from pool.map(make, range(count))
        except BrokenProcessPool as error:
            raise UserError(
                "a process that generates synthetic data died: a script that uses it needs"
                ' `if __name__ == "__main__":` around its entry, and there must be enough memory'
            ) from error
