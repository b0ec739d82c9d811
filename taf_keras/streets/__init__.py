"""The embedded data set: procedural street scenes as seen from a slowly driving car.

    config.py   what can be chosen, and the classes
    noise.py    multi-octave noise and palettes   →  texture.py  colour and label in one texel
    surfaces.py, sketch.py, sprites.py   textures of what is built, and of what stands and moves
    parts.py, things.py, scene.py        what is where in a clip's street, in metres
    motion.py   the camera's path   →  paint.py, render.py  a scene at a time → image, labels
    lighting.py drifting light, weather and sensor noise
    generate.py clips from seeds, in processes   cache.py  splits on disk

Nothing here imports TensorFlow: the processes that generate clips start quickly.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from taf_keras.clips.clip import Clip, Frame, Split
from taf_keras.config import SPLITS
from taf_keras.errors import UserError
from taf_keras.streets import cache
from taf_keras.streets.config import CLASSES, GENERATOR_VERSION, KEY_NUMBER, SyntheticConfig
from taf_keras.streets.generate import make_clips

__all__ = ["CLASSES", "GENERATOR_VERSION", "SyntheticConfig", "load_split"]


def load_split(
    config: SyntheticConfig,
    split: str,
    cache_dir: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Split:
    """The clips of a split, generated on first use and cached.

    Every frame carries its image and its label map, not only the key frame: who trains decides what
    to hide. Generation uses one process per core, so a script must guard its entry with
    `if __name__ == "__main__"`.

    Args:
        config: size, amount and motion of the scenes.
        split: "train", "val" or "test"; no scene occurs in two of them.
        cache_dir: folder of the cache; None is `$XDG_CACHE_HOME/taf-keras` or `~/.cache/taf-keras`.
        on_progress: called with (clips done, clips in all) as clips are generated; not at all where
            the split is in the cache.

    Returns:
        The split. Images are uint8 (height, width, 3), labels uint8 (height, width), both read-only
        and mapped from the cache file; frame numbers are 100 + offset.

    Raises:
        UserError: an unknown split, or a cache folder that cannot be written.
    """
    if split not in SPLITS:
        raise UserError(f"synthetic data: the split must be one of {', '.join(SPLITS)}, got {split!r}")
    images, labels = cache.load(config, split, cache_dir, lambda: make_clips(config, split), on_progress)
    numbers = [KEY_NUMBER + offset for offset in config.offsets(split)]

    def frames(index: int) -> tuple[Frame, ...]:
        # np.asarray: a plain view of the mapped file, without np.memmap's own class.
        pairs = zip(numbers, np.asarray(images[index]), np.asarray(labels[index]), strict=True)
        return tuple(Frame(number, image, label) for number, image, label in pairs)

    clips = tuple(
        Clip(name=f"synthetic_{split}_{index:04d}", frames=frames(index), key_number=KEY_NUMBER)
        for index in range(config.clip_count(split))
    )
    return Split(name=split, clips=clips, classes=CLASSES)
