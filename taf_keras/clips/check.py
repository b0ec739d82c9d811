"""Looks at every labelled example before a long run, so that a bad file stops it at the start."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from taf_keras.clips.clip import Clip, Split
from taf_keras.clips.decode import read_image, read_label
from taf_keras.errors import UserError


def check_split(split: Split, image_size: tuple[int, int] | None = None, threads: int = 2) -> None:
    """Decodes every key frame and its label map, and looks for every other file of the clips.

    Raises: UserError naming the first bad file: missing, empty, not an image, of another size than
        its label, or with a label id outside the table; or key frames of several sizes without an
        `image_size` to bring them to.
    """
    if not split.clips:
        raise UserError(f"split {split.name}: has no labelled clip")
    lookup = split.classes.lookup()
    with ThreadPoolExecutor(threads) as pool:
        sizes = {}
        for clip, size in zip(
            split.clips, pool.map(lambda clip: _check_clip(clip, lookup), split.clips), strict=True
        ):
            sizes.setdefault(size, clip)
    if len(sizes) > 1 and image_size is None:
        found = " and ".join(f"{size} ({clip.name})" for size, clip in list(sizes.items())[:2])
        raise UserError(f"split {split.name}: key frames of several sizes, {found}: give --image_size")


def _check_clip(clip: Clip, lookup) -> str:
    key = clip.key_frame
    image, label = read_image(key.image), read_label(key.label, lookup)
    if image.shape[:2] != label.shape:
        raise UserError(
            f"{_name(key.label, clip)}: label map of {_size(label)} px, its image has {_size(image)} px"
        )
    for frame in clip.frames:
        if isinstance(frame.image, str) and not (
            os.path.isfile(frame.image) and os.path.getsize(frame.image)
        ):
            raise UserError(f"{frame.image}: missing or empty")
    return _size(image)


def _name(source, clip: Clip) -> str:
    return source if isinstance(source, str) else f"clip {clip.name}"


def _size(array) -> str:
    return f"{array.shape[0]}x{array.shape[1]}"
