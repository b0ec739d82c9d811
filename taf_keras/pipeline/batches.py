"""Clips to batches: the tf.data pipelines of training and evaluation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from taf_keras.clips.clip import VOID, Split
from taf_keras.clips.decode import read_image
from taf_keras.config import Config
from taf_keras.errors import UserError
from taf_keras.pipeline.color_jitter import ColorJitter
from taf_keras.pipeline.examples import TrainingExamples, read_key_frame
from taf_keras.pipeline.share import Share
from taf_keras.sizes import Size

# An evaluation's largest batch: what a network of the paper's size takes of it fits into 11 GB.
_MOST_FRAMES, _MOST_PIXELS = 8, 1024 * 2048


def training_batches(
    split: Split, config: Config, first_step: int = 0, steps: int | None = None, share: Share | None = None
) -> tf.data.Dataset:
    """Batches of the steps [first_step, steps), in order; `steps` None: the whole training.

    The leading axis of every array has `config.key_frames_per_step` examples: the global batch. With a
    `share` it has those of one replica, and the batches are those of one worker's replicas in turn.
    """
    share = share or Share()
    examples = TrainingExamples.of(split, config)
    batch = config.key_frames_per_step
    if steps is None:
        steps = config.training.epochs * config.steps_per_epoch(len(split.clips))
    positions = share.positions(first_step * batch, steps * batch, batch)
    batches = batched(positions, examples, batch // share.replicas, config.runtime.threads, True)
    if "jitter" not in batches.element_spec:
        return batches
    jitter = ColorJitter()
    # Those that only the method asks for are the student's view of its partners.
    frames = ("image", "partner") if config.data.color_jitter else ("partner",)

    def jittered(batch):
        factors = batch.pop("jitter")
        return batch | {name: jitter(batch[name], factors) for name in frames if name in batch}

    return batches.map(jittered)


def frames_at_once(height: int, width: int) -> int:
    """As many frames as have 2^21 pixels together, at most 8: what evaluation takes unless it is told."""
    return min(_MOST_FRAMES, max(1, _MOST_PIXELS // (height * width)))


def evaluation_batches(
    split: Split,
    image_size: Size | None,
    batch_size: int | None = None,
    reader_threads: int = 2,
    share: Share | None = None,
) -> tf.data.Dataset:
    """Key frames at full size without augmentation, in order.

    Args:
        batch_size: frames of a batch; None is `frames_at_once`.

    Yields dicts with `image` uint8 (b, height, width, 3) and `label` uint8 (b, height, width), one
    size for all. Where replicas share the batches, the last one is filled up with frames whose label is
    void everywhere, so that every replica of every worker has the same number of examples in each step.
    """
    share = share or Share()
    frames = padded = len(split.clips)
    if batch_size is None:
        batch_size = frames_at_once(*read_image(split.clips[0].key_frame.image, image_size).shape[:2])
    if share.replicas > 1:
        batch_size = _round_up(min(batch_size, frames), share.replicas)
        padded = _round_up(frames, batch_size)

    def example(index: int) -> dict[str, np.ndarray]:
        image, label = read_key_frame(split.clips[min(index, frames - 1)], split.classes, image_size)
        return {"image": image, "label": label if index < frames else np.full_like(label, VOID)}

    positions = share.positions(0, padded, batch_size)
    return batched(positions, example, batch_size // share.replicas, reader_threads, share.replicas > 1)


def _round_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def batched(
    positions: tf.data.Dataset, example: Callable, batch_size: int, threads: int, drop_remainder: bool
) -> tf.data.Dataset:
    """Batches of what `example` returns for each position, in order, read by `threads` threads."""
    first = example(int(next(iter(positions))))
    types = [tf.as_dtype(value.dtype) for value in first.values()]

    def load(position):
        # Not stateful, though it keeps what it has decoded: what comes out depends on the position alone.
        # A stateful function would not run in parallel where TensorFlow's operations are deterministic.
        arrays = tf.numpy_function(lambda p: [*example(int(p)).values()], [position], types, stateful=False)
        for array, value in zip(arrays, first.values(), strict=True):
            array.set_shape(value.shape)
        return dict(zip(first, arrays, strict=True))

    examples = positions.map(load, num_parallel_calls=threads, deterministic=True)
    return examples.batch(batch_size, drop_remainder=drop_remainder).prefetch(2)


@contextmanager
def reader_errors() -> Iterator[None]:
    """Inside, batches may be read: a file that a reader thread cannot use is a UserError, as it was there.

    tf.data wraps it in an error of its own, whose text has the traceback.
    """
    try:
        yield
    except tf.errors.OpError as error:
        found = re.search(r"\b(?:UserError|BadFileError): (.+)", error.message)
        if not found:
            raise
        raise UserError(found[1]) from None
