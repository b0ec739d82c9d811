"""What a training step of each method minimises, one value for each key frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import keras
from keras import ops

from taf_keras.taf import losses
from taf_keras.taf.paste import paste_key_frames
from taf_keras.taf.term import INPUTS, TAFTerm


class Objective(Protocol):
    """The loss of a training batch, a dict as `taf_keras.pipeline.batches.training_batches` yields it.

    Attributes:
        network: what it trains.
        terms: names of the parts of the loss that are reported.
        branches: names of the branches whose δ is reported.
    """

    network: keras.Model
    terms: tuple[str, ...]
    branches: tuple[str, ...]

    def __call__(self, batch: Mapping, training: bool = True) -> dict:
        """`loss` and what is in `terms`, each float32 (key frames,)."""


class KeyFrames:
    """The baseline: cross entropy of the key frames, with `class_weights` as in `losses.cross_entropy`."""

    terms, branches = ("cross_entropy", "taf"), ()  # its histories have the columns of Eq. 6's

    def __init__(self, network: keras.Model, class_weights=None):
        self.network, self.class_weights = network, class_weights

    def __call__(self, batch, training=True):
        batch = paste_key_frames(batch)
        logits = self.network(ops.cast(batch["image"], "float32"), training=training)
        entropy = losses.cross_entropy(logits, batch["label"], self.class_weights)
        return {"cross_entropy": entropy, "taf": ops.zeros_like(entropy), "loss": entropy}


class Eq6:
    """CE(key) + λ·[R+(key, i1, n) + R+(partner, i2, −n)].

    Args:
        term: with its network and its change rates.
        weight: λ.
        class_weights: as in `losses.cross_entropy`.
    """

    terms = ("cross_entropy", "taf")

    def __init__(self, term: TAFTerm, weight: float, class_weights=None):
        self.network, self.term, self.weight = term.network, term, weight
        self.class_weights = class_weights
        self.branches = term.branches if term.swappable else ()

    def __call__(self, batch, training=True):
        """With `delta`, `slack` and `sampled` of the key frames, then of their partners."""
        side = batch.get("partner_takes")
        outcome = self.term(*(batch[name] for name in INPUTS), partner_takes=side, training=training)
        entropy = losses.cross_entropy(outcome.outputs, batch["label"], self.class_weights)
        if outcome.taf is None:
            return {"cross_entropy": entropy, "taf": ops.zeros_like(entropy), "loss": entropy}
        return outcome.figures | {"cross_entropy": entropy, "loss": entropy + self.weight * outcome.taf}
