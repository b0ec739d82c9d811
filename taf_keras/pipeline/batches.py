"""Clips to batches: the tf.data pipelines of training and evaluation."""

from __future__ import annotations

import cv2
import numpy as np
import tensorflow as tf

from taf_keras.clips.clip import VOID, Clip, Split
from taf_keras.clips.decode import read_image, read_label
from taf_keras.config import Config
from taf_keras.errors import UserError
from taf_keras.pipeline.augment import Geometry
from taf_keras.pipeline.color_jitter import ColorJitter
from taf_keras.pipeline.pairing import draw, draw_jitter, draw_stranger, locate
from taf_keras.pipeline.propagate import propagate_label
from taf_keras.pipeline.share import Share

# An evaluation's largest batch: what a network of the paper's size takes of it fits into 11 GB.
_MOST_FRAMES, _MOST_PIXELS = 8, 1024 * 2048

# OpenCV's own threads would fight with the readers for the cores; tf.data runs the readers in parallel.
cv2.setNumThreads(0)


class TrainingExamples:
    """The training set as a function of the position in the whole training's sequence.

    Calling it returns a dict of arrays, the crop's height and width being h and w:
        image: key frame, uint8 (h, w, 3).
        label: train ids of the key frame, uint8 (h, w), VOID for void and padding.
        valid: bool (h, w), False in the padding.
    and where the method uses partners (Eq. 6):
        partner: partner frame, uint8 (h, w, 3), the same crop.
        offset_frames: n, int32.
        key_branch, partner_branch: i1 and i2, int32.
        partner_label: for `propagate`, train ids carried to the partner, uint8 (h, w).
    With `color_jitter` there is also jitter, float32 (3,), of `pairing.draw_jitter`.
    """

    def __init__(self, split: Split, config: Config):
        self.clips = split.clips
        self.config = config
        self.classes = split.classes
        # Key frames and their label maps come again in every epoch, and decoding them is half of the work.
        # So those that fit stay decoded.
        self.kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.kept_bytes = 1e6 * config.runtime.kept_mb
        if config.data.partner == "other_clip" and len(self.clips) < 2:
            raise UserError("--partner=other_clip: needs two clips or more")
        batch = config.key_frames_per_step
        self.per_epoch = config.steps_per_epoch(len(self.clips)) * batch

    def __call__(self, position: int) -> dict[str, np.ndarray]:
        data, seed = self.config.data, self.config.training.seed
        epoch, example, repeat = locate(position, seed, len(self.clips), self.per_epoch)
        clip = self.clips[example]
        drawn = draw(
            seed,
            epoch,
            example,
            repeat,
            clip,
            data.temporal_context,
            self.config.swap_branches,
            (data.min_scale, data.max_scale),
            data.flip,
        )
        image, label = self._key_frame(example)
        geometry = Geometry.of(drawn, image.shape[:2], data.crop_size or image.shape[:2])
        arrays = {
            "image": geometry.image(image),
            "label": geometry.label(label),
            "valid": geometry.valid(),
        }
        if data.color_jitter:
            arrays["jitter"] = draw_jitter(seed, epoch, example, repeat)
        if self.config.uses_partners:
            partner = image
            if data.partner == "other_clip":
                other, n = draw_stranger(seed, epoch, example, repeat, self.clips, data.temporal_context)
                partner = self._partner(self.clips[other], n, image)
            elif data.partner == "neighbour" and drawn.offset_frames != 0:
                partner = self._partner(clip, drawn.offset_frames, image)
            if self.config.taf.method == "propagate":
                tolerance_px = self.config.partner_labels.flow_tolerance_px
                carried = propagate_label(image, partner, label, tolerance_px)
                arrays["partner_label"] = geometry.label(carried)
            arrays |= {
                "partner": geometry.image(partner),
                "offset_frames": np.int32(drawn.offset_frames),
                "key_branch": np.int32(drawn.key_branch),
                "partner_branch": np.int32(drawn.partner_branch),
            }
        return arrays

    def _key_frame(self, example: int) -> tuple[np.ndarray, np.ndarray]:
        """Image and label map, decoded now or kept from an earlier epoch."""
        if example in self.kept:
            return self.kept[example]
        frame, size = self.clips[example].key_frame, self.config.data.image_size
        image, label = read_image(frame.image, size), read_label(frame.label, self.classes, size)
        if (len(self.kept) + 1) * (image.nbytes + label.nbytes) <= self.kept_bytes:  # all have one size
            self.kept[example] = image, label
        return image, label

    def _partner(self, clip: Clip, offset_frames: int, image: np.ndarray) -> np.ndarray:
        source = clip.at(offset_frames).image
        partner = read_image(source, self.config.data.image_size)
        if partner.shape != image.shape:
            array = isinstance(source, np.ndarray)
            name = f"clip {clip.name}, offset {offset_frames}" if array else source
            raise UserError(
                f"{name}: frame of {partner.shape[0]}x{partner.shape[1]} px, its key frame has "
                f"{image.shape[0]}x{image.shape[1]} px: give --image_size"
            )
        return partner


def training_batches(
    split: Split, config: Config, first_step: int = 0, steps: int | None = None, share: Share | None = None
) -> tf.data.Dataset:
    """Batches of the steps [first_step, steps), in order; `steps` None: the whole training.

    The leading axis of every array has `config.key_frames_per_step` examples: the global batch. With a
    `share` it has those of one replica, and the batches are those of one worker's replicas in turn.
    """
    share = share or Share()
    examples = TrainingExamples(split, config)
    batch = config.key_frames_per_step
    if steps is None:
        steps = config.training.epochs * config.steps_per_epoch(len(split.clips))
    positions = share.positions(first_step * batch, steps * batch, batch)
    size = share.per_replica(batch)
    batches = _batched(positions, examples, size, config.runtime.threads, drop_remainder=True)
    return batches.map(_jittered(ColorJitter())) if config.data.color_jitter else batches


def _jittered(jitter: ColorJitter):
    def change(batch):
        factors = batch.pop("jitter")
        frames = [name for name in ("image", "partner") if name in batch]
        return batch | {name: jitter(batch[name], factors) for name in frames}

    return change


def evaluation_batches(
    split: Split,
    image_size: tuple[int, int] | None,
    batch_size: int | None = None,
    reader_threads: int = 2,
    share: Share | None = None,
) -> tf.data.Dataset:
    """Key frames at full size without augmentation, in order.

    Args:
        batch_size: frames of a batch; None is as many as have 2^21 pixels together, at most 8.

    Yields dicts with `image` uint8 (b, height, width, 3) and `label` uint8 (b, height, width), one
    size for all. Where replicas share the batches, the last one is filled up with frames whose label is
    void everywhere, so that every replica of every worker has the same number of examples in each step.
    """
    share = share or Share()
    frames = padded = len(split.clips)
    if batch_size is None:
        height, width = read_image(split.clips[0].key_frame.image, image_size).shape[:2]
        batch_size = min(_MOST_FRAMES, max(1, _MOST_PIXELS // (height * width)))
    if share.replicas > 1:
        batch_size = _round_up(min(batch_size, frames), share.replicas)
        padded = _round_up(frames, batch_size)

    def example(index: int) -> dict[str, np.ndarray]:
        frame = split.clips[min(index, frames - 1)].key_frame
        label = read_label(frame.label, split.classes, image_size)
        return {
            "image": read_image(frame.image, image_size),
            "label": label if index < frames else np.full_like(label, VOID),
        }

    positions = share.positions(0, padded, batch_size)
    size = share.per_replica(batch_size)
    return _batched(positions, example, size, reader_threads, drop_remainder=share.replicas > 1)


def _round_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def _batched(positions, example, batch_size, reader_threads, drop_remainder) -> tf.data.Dataset:
    first = example(int(next(iter(positions))))
    types = [tf.as_dtype(value.dtype) for value in first.values()]

    def load(position):
        # Not stateful, though it keeps what it has decoded: what comes out depends on the position alone.
        # A stateful function would not run in parallel where TensorFlow's operations are deterministic.
        arrays = tf.numpy_function(
            lambda p: list(example(int(p)).values()), [position], types, stateful=False
        )
        for array, value in zip(arrays, first.values(), strict=True):
            array.set_shape(value.shape)
        return dict(zip(first, arrays, strict=True))

    return (
        positions.map(load, num_parallel_calls=reader_threads, deterministic=True)
        .batch(batch_size, drop_remainder=drop_remainder)
        .prefetch(2)
    )
