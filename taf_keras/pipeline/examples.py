"""Clips to training examples, as arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from taf_keras.clips.clip import ClassTable, Clip, Split
from taf_keras.clips.decode import read_image, read_label
from taf_keras.config import Config, DataConfig, RuntimeConfig
from taf_keras.errors import UserError
from taf_keras.pipeline.augment import Geometry, blurred, rectangle
from taf_keras.pipeline.pairing import (
    locate,
    sample,
    sample_blur,
    sample_jitter,
    sample_rectangle,
    sample_side,
    sample_stranger,
)
from taf_keras.pipeline.propagate import propagate_label
from taf_keras.sizes import Size, size_text

# OpenCV's own threads would fight with the readers for the cores, which run in parallel themselves.
cv2.setNumThreads(0)


def read_key_frame(
    clip: Clip, classes: ClassTable, size: Size | None, reduced: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """uint8 RGB (height, width, 3) of the clip's key frame, and its train ids, uint8 (height, width).

    `reduced`: as for `read_image`.
    Raises: UserError where the two have different sizes, or there is no label.
    """
    frame = clip.key_frame
    if frame.label is None:
        raise UserError(f"clip {clip.name}: its key frame {clip.key_number} has no label")
    image, label = read_image(frame.image, size, reduced), read_label(frame.label, classes, size)
    if label.shape != image.shape[:2]:
        raise UserError(
            f"clip {clip.name}: label map of {size_text(label.shape)} px, its image has "
            f"{size_text(image.shape[:2])} px"
        )
    return image, label


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
        partner_takes: with `samples_side`, bool, of `pairing.sample_side`.
        partner_label: for `propagate`, train ids carried to the partner, uint8 (h, w).
    With `color_jitter` there is also jitter, float32 (3,), of `pairing.sample_jitter`; with `cutmix` pasted,
    bool (h, w), where the example is to show another one. For `mean_teacher` there are weak_partner, the
    partner as it is, uint8 (h, w, 3), and jitter; partner itself is blurred.

    Args:
        data: how examples are sampled.
        seed: of all that is random.
        key_frames: of a batch: an epoch is filled up to whole ones.
        partners: whether there are partners.
        branches: indices of the branches that may be sampled.
        flow_tolerance_px: for `propagate`, see `PartnerLabelConfig`.
        kept_mb: memory for decoded key frames, MB.
        weak_partners: as for `mean_teacher`.
        samples_side: as for `--symmetric=sampled`.
    """

    def __init__(
        self,
        split: Split,
        data: DataConfig,
        seed: int,
        key_frames: int,
        *,
        partners: bool = True,
        branches: Sequence[int] = (),
        flow_tolerance_px: float | None = None,
        kept_mb: float = RuntimeConfig.kept_mb,
        weak_partners: bool = False,
        samples_side: bool = False,
    ):
        if data.partner == "other_clip" and len(split.clips) < 2:
            raise UserError("--partner=other_clip: needs two clips or more")
        self.clips, self.classes, self.data, self.seed = split.clips, split.classes, data, seed
        self.partners, self.branches, self.flow_tolerance_px = partners, branches, flow_tolerance_px
        self.weak_partners, self.samples_side = weak_partners, samples_side
        self.per_epoch = math.ceil(len(self.clips) / key_frames) * key_frames
        # Key frames and their label maps come again in every epoch, and decoding them is half of the work.
        # So those that fit stay decoded.
        self.kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.kept_bytes = 1e6 * kept_mb

    @classmethod
    def of(cls, split: Split, config: Config) -> TrainingExamples:
        """Those of a run."""
        propagates = config.taf.method == "propagate"
        return cls(
            split,
            config.data,
            config.training.seed,
            config.key_frames_per_step,
            partners=config.uses_partners,
            branches=config.swap_branches,
            flow_tolerance_px=config.partner_labels.flow_tolerance_px if propagates else None,
            kept_mb=config.runtime.kept_mb,
            weak_partners=config.taf.method == "mean_teacher",
            samples_side=config.taf.symmetric == "sampled",
        )

    def __call__(self, position: int) -> dict[str, np.ndarray]:
        data, context = self.data, self.data.temporal_context
        place = locate(position, self.seed, len(self.clips), self.per_epoch)
        clip = self.clips[place.example]
        sampled = sample(place, clip, context, self.branches, (data.min_scale, data.max_scale), data.flip)
        image, label = self._key_frame(place.example)
        geometry = Geometry.of(sampled, image.shape[:2], data.crop_size or image.shape[:2])
        sigma = sample_blur(place) if data.blur or self.weak_partners else 0.0
        arrays = {"image": blurred(geometry.image(image), sigma * data.blur)}
        arrays |= {"label": geometry.label(label), "valid": geometry.valid()}
        if data.color_jitter or self.weak_partners:
            arrays["jitter"] = sample_jitter(place)
        if data.cutmix:
            arrays["pasted"] = rectangle(sample_rectangle(place), geometry.crop_size)
        if self.partners:
            partner = image
            if data.partner == "other_clip":
                partner = self._partner(*sample_stranger(place, self.clips, context), image)
            elif data.partner == "neighbour" and sampled.offset_frames != 0:
                partner = self._partner(clip, sampled.offset_frames, image)
            if self.flow_tolerance_px is not None:
                carried = propagate_label(image, partner, label, self.flow_tolerance_px)
                arrays["partner_label"] = geometry.label(carried)
            partner = geometry.image(partner)
            if self.weak_partners:
                arrays["weak_partner"] = partner
            arrays["partner"] = blurred(partner, sigma)
            for name in ("offset_frames", "key_branch", "partner_branch"):
                arrays[name] = np.int32(getattr(sampled, name))
            if self.samples_side:
                arrays["partner_takes"] = np.bool_(sample_side(place))
        return arrays

    def _key_frame(self, example: int) -> tuple[np.ndarray, np.ndarray]:
        """Image and label map, decoded now or kept from an earlier epoch."""
        if example in self.kept:
            return self.kept[example]
        data = self.data
        image, label = read_key_frame(
            self.clips[example], self.classes, data.image_size, data.reduced_decoding
        )
        if (len(self.kept) + 1) * (image.nbytes + label.nbytes) <= self.kept_bytes:  # all have one size
            self.kept[example] = image, label
        return image, label

    def _partner(self, clip: Clip, offset_frames: int, image: np.ndarray) -> np.ndarray:
        source = clip.at(offset_frames).image
        partner = read_image(source, self.data.image_size, self.data.reduced_decoding)
        if partner.shape != image.shape:
            array = isinstance(source, np.ndarray)
            name = f"clip {clip.name}, offset {offset_frames}" if array else source
            raise UserError(
                f"{name}: frame of {size_text(partner.shape[:2])} px, its key frame has "
                f"{size_text(image.shape[:2])} px: give --image_size"
            )
        return partner
