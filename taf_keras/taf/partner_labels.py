"""Explicit label augmentation, which TAF competes with: labels made for the partner frames."""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import ops

from taf_keras.clips.clip import VOID
from taf_keras.taf import losses
from taf_keras.taf.equal_parts import EqualParts
from taf_keras.taf.paste import paste
from taf_keras.taf.term import INPUTS, TAFTerm


class PartnerLabels:
    """Cross entropy of key frames and of labelled partners; with a TAF term, if given.

    It is (CE(key) + weight·CE(partner)) / (1 + weight), or CE(key) + weight·CE(partner) for a teacher that
    regularises.

    Args:
        network: image -> logits at the labels' size.
        teacher: RGB (batch, height, width, 3) in [0, 255] -> logits at the same size, whose predictions label
            the partners, as the batch's `weak_partner` shows them, if it has that; a function, so that its
            weights are not the trainer's to save. None takes the batch's `partner_label`.
        confidence: pixels whose most probable class has less than this probability are void.
        regularises: the teacher is the network's own average. Then the partners' term is added, and a void
            pixel adds 0 to it (FixMatch: Sohn et al. 2020), so that there is next to none while the teacher
            knows nothing. Labels that are made before count as the key frames' do.
        term: of TAF, with the same network, or None.
        taf_weight: λ.
        class_weights: as in `losses.cross_entropy`, of key frames and partners.
    """

    def __init__(
        self,
        network: keras.Model,
        weight: float,
        batch_norm_frames: str = "key",
        teacher: Callable | None = None,
        confidence: float = 0.9,
        regularises: bool = False,
        term: TAFTerm | None = None,
        taf_weight: float = 0.0,
        class_weights=None,
    ):
        self.network, self.weight, self.teacher, self.confidence = network, weight, teacher, confidence
        self.regularises, self.term, self.taf_weight = regularises, term, taf_weight
        self.class_weights = class_weights
        self.parts = EqualParts(network, batch_norm_frames)
        self.terms = ("cross_entropy", "partner_cross_entropy", *(("taf",) if term else ()))
        self.branches = term.branches if term else ()

    def __call__(self, batch, training=True):
        """`delta`, `slack` and `sampled` are those of the TAF term."""
        batch = self._with_labels(batch)
        values = {}
        if self.term:
            outcome = self.term(*(batch[name] for name in INPUTS), training=training)
            key, partner, values = outcome.outputs, outcome.partner_outputs, outcome.figures
        else:
            frames = ops.cast(ops.concatenate([batch["image"], batch["partner"]], axis=0), "float32")
            with self.parts.of(2):
                logits = self.network(frames, training=training)
            key, partner = ops.split(logits, 2, axis=0)
        own = losses.cross_entropy(key, batch["label"], self.class_weights)
        other = losses.cross_entropy(partner, batch["partner_label"], self.class_weights)
        if self.regularises:
            counts = ops.cast(batch["partner_label"] != VOID, "float32")
            other = other * losses.masked_mean(counts, batch["valid"])
            loss = own + self.weight * other
        else:
            loss = (own + self.weight * other) / (1 + self.weight)
        if self.term:
            loss = loss + self.taf_weight * values["taf"]
        return values | {"cross_entropy": own, "partner_cross_entropy": other, "loss": loss}

    def _with_labels(self, batch):
        """The batch with the labels of its partners; with `pasted`, both pasted."""
        if self.teacher is None:
            return batch
        frames = batch.get("weak_partner", batch["partner"])
        probabilities = ops.softmax(self.teacher(ops.cast(frames, "float32")), axis=-1)
        sure = ops.max(probabilities, axis=-1) >= self.confidence
        ids = ops.argmax(probabilities, axis=-1)
        made = {"partner_label": ops.where(ops.logical_and(sure, batch["valid"]), ids, VOID)}
        if "pasted" in batch:
            shown = made | {name: batch[name] for name in ("partner", "valid")}
            made = {name: paste(values, batch["pasted"]) for name, values in shown.items()}
        return batch | made
