"""Clips as Keras takes them in `fit` and `evaluate`, on any backend."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import keras
import numpy as np

from taf_keras.clips.clip import Split
from taf_keras.config import DataConfig, usable_cores
from taf_keras.errors import ArgumentError, UserError
from taf_keras.pipeline.examples import TrainingExamples, read_key_frame
from taf_keras.sizes import Size, size_text

_INPUTS = ("image", "partner", "offset_frames", "valid")


def pairs(
    split: Split,
    key_frames: int = 8,
    temporal_context: int | None = None,
    crop_size: Size | None = None,
    image_size: Size | None = None,
    min_scale: float = DataConfig.min_scale,
    max_scale: float = DataConfig.max_scale,
    flip: bool = True,
    seed: int = 0,
    first_epoch: int = 0,
    workers: int | None = None,
) -> keras.utils.PyDataset:
    """Key frames with their partners, as `TAF` is trained with them (Section 2.2).

    Partners are sampled uniformly from the frames of a clip, the key frame among them; scale, crop and flip
    are the same for both frames of a pair. All that is random depends on seed, epoch and example alone. `fit`
    takes the batches of an epoch in an order of its own: `fit(shuffle=False)` makes that the same each time.

    Args:
        split: of `read_manifest`, or your own.
        key_frames: key frames in a batch; it has as many partners.
        temporal_context: n_h, largest |n| of a partner, frames of the video. None takes every frame of the
            clips: `read_manifest` decides how far they reach. A number takes the nearer ones alone, and adds
            none: a warning says where clips end before it.
        crop_size: (height, width) of the crops, px; None takes the image size.
        image_size: (height, width) to which frames are resized first, px; None keeps the files' size.
        min_scale, max_scale: range of the random scale.
        flip: random horizontal flips.
        seed: of all that is random.
        first_epoch: what `initial_epoch` of `fit` is, so that a resumed training goes on with its samples.
        workers: threads that read a batch; None is one for each usable core.

    Returns: a data set whose length is an epoch, one pass over the key frames (the last batch is filled up
        from the epoch's beginning). Batches are (x, y): x a dict of `image` and `partner` uint8 RGB
        (key_frames, height, width, 3), `offset_frames` int32 (key_frames,), `valid` bool (key_frames, height,
        width); y the train ids of the key frames, uint8 (key_frames, height, width), 255 for void and
        padding.
    Raises: ArgumentError for an argument out of its range, and where no clip has a partner; a batch raises
        it where its images have several sizes, and UserError for a frame or a label that cannot be used.

    Example:
        >>> batches = pairs(read_manifest("my_clips", "train"), key_frames=2, crop_size=(64, 64))
        checking train files ...
        >>> x, y = batches[0]
        >>> x["partner"].shape, y.shape
        ((2, 64, 64, 3), (2, 64, 64))
    """
    _check_size("crop_size", crop_size)
    _check_size("image_size", image_size)
    distances = {abs(n) for clip in split.clips for n in clip.offsets(math.inf)} - {0}
    reach = max(distances, default=0)
    try:
        data = DataConfig(
            temporal_context=reach if temporal_context is None else temporal_context,
            crop_size=crop_size,
            image_size=image_size,
            min_scale=min_scale,
            max_scale=max_scale,
            flip=flip,
        )
    except UserError as error:
        raise ArgumentError(*error.args) from None
    if key_frames < 1:
        raise ArgumentError(f"key_frames={key_frames}: must be 1 or more")
    if not distances:
        raise ArgumentError(
            f"split {split.name}: no clip has another frame than its key frame: read it with a larger "
            "temporal_context, or give clips of more frames"
        )
    if data.temporal_context < min(distances):
        raise ArgumentError(
            f"temporal_context={temporal_context}: no clip of split {split.name} has another frame so near: "
            f"allowed are {min(distances)}, the nearest, or more, and None for all"
        )
    if data.temporal_context > reach:
        warnings.warn(
            f"temporal_context={temporal_context}: the clips of split {split.name} end {reach} frames from "
            "their key frames: read the split with a larger temporal_context if its videos have more",
            stacklevel=2,
        )
    examples = TrainingExamples(split, data, seed, key_frames)

    def example(epoch: int, position: int) -> tuple:
        arrays = examples((first_epoch + epoch) * examples.per_epoch + position)
        return {name: arrays[name] for name in _INPUTS}, arrays["label"]

    return _Batches(example, examples.per_epoch, key_frames, workers)


def frames(
    split: Split, batch_size: int = 8, image_size: Size | None = None, workers: int | None = None
) -> keras.utils.PyDataset:
    """Key frames at full size without augmentation, in order: what `evaluate` and `validation_data` take.

    Args:
        split: of `read_manifest`, or your own.
        batch_size: frames in a batch; the last one may have fewer.
        image_size: (height, width) to which frames are resized, px; None keeps the files' size.
        workers: threads that read a batch; None is one for each usable core.

    Returns: batches (x, y): uint8 RGB (batch, height, width, 3), and train ids uint8 (batch, height, width),
        255 for void.
    Raises: ArgumentError for an argument out of its range; a batch raises what those of `pairs` do.

    Example:
        >>> images, labels = frames(read_manifest("my_clips", "val"), batch_size=2)[0]
        checking val files ...
        >>> images.shape[:3] == labels.shape
        True
    """
    if batch_size < 1:
        raise ArgumentError(f"batch_size={batch_size}: must be 1 or more")

    _check_size("image_size", image_size)

    def example(epoch: int, position: int) -> tuple:
        return read_key_frame(split.clips[position], split.classes, image_size)

    return _Batches(example, len(split.clips), batch_size, workers)


def _check_size(name: str, size) -> None:
    if size is not None and (not isinstance(size, tuple | list) or len(size) != 2):
        raise ArgumentError(f"{name}={size!r}: must be (height, width), px, or None")


class _Batches(keras.utils.PyDataset):
    """Reads the examples of a batch in parallel, each an (x, y) of `example(epoch, position)`.

    Keras' own workers would read whole batches ahead; on JAX and PyTorch, those that it reads to build a
    model come again in the first epoch.
    """

    def __init__(self, example: Callable, examples: int, size: int, workers: int | None):
        super().__init__()
        self.example, self.examples, self.size, self.ended = example, examples, size, 0
        if workers is not None and workers < 1:
            raise ArgumentError(f"workers={workers}: must be 1 or more, or None")
        self.pool = ThreadPoolExecutor(usable_cores() if workers is None else workers)

    def __len__(self):
        return math.ceil(self.examples / self.size)

    def __getitem__(self, index):
        positions = range(index * self.size, min((index + 1) * self.size, self.examples))
        # Keras ends an epoch once before the first one, when `fit` resets its data.
        read = partial(self.example, max(0, self.ended - 1))
        examples = list(self.pool.map(read, positions))
        sizes = dict.fromkeys(size_text(labels.shape) for _, labels in examples)
        if len(sizes) > 1:
            raise ArgumentError(
                f"image_size=None: a batch has images of {' and '.join(sizes)} px: give the image_size that "
                "all are to have"
            )
        return keras.tree.map_structure(lambda *arrays: np.stack(arrays), *examples)

    def on_epoch_end(self):
        self.ended += 1
