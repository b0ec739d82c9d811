"""Explicit label augmentation, which TAF competes with: labels made for the partner frames."""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import ops

from taf_keras.clips.clip import VOID
from taf_keras.taf import losses
from taf_keras.taf.equal_parts import EqualParts


class PartnerLabels:
    """(CE(key) + weight·CE(partner)) / (1 + weight).

    Args:
        network: image -> logits at the labels' size.
        teacher: RGB (batch, height, width, 3) in [0, 255] -> logits at the same size, whose predictions label
            the partners; a function, so that its weights are not the trainer's to save. None takes the
            batch's `partner_label`.
        confidence: pixels whose most probable class has less than this probability are void.
    """

    terms, branches = ("cross_entropy", "partner_cross_entropy"), ()

    def __init__(
        self,
        network: keras.Model,
        weight: float,
        batch_norm_frames: str = "key",
        teacher: Callable | None = None,
        confidence: float = 0.9,
    ):
        self.network, self.weight, self.teacher, self.confidence = network, weight, teacher, confidence
        self.parts = EqualParts(network, batch_norm_frames)

    def __call__(self, batch, training=True):
        frames = ops.cast(ops.concatenate([batch["image"], batch["partner"]], axis=0), "float32")
        with self.parts.of(2):
            logits = self.network(frames, training=training)
        key, partner = ops.split(logits, 2, axis=0)
        label = batch["partner_label"] if self.teacher is None else self._predicted(batch)
        own, other = losses.cross_entropy(key, batch["label"]), losses.cross_entropy(partner, label)
        loss = (own + self.weight * other) / (1 + self.weight)
        return {"cross_entropy": own, "partner_cross_entropy": other, "loss": loss}

    def _predicted(self, batch):
        """The teacher's predictions on the partners, VOID where it is unsure and in the padding."""
        probabilities = ops.softmax(self.teacher(ops.cast(batch["partner"], "float32")), axis=-1)
        sure = ops.max(probabilities, axis=-1) >= self.confidence
        ids = ops.argmax(probabilities, axis=-1)
        return ops.where(ops.logical_and(sure, batch["valid"]), ids, VOID)
