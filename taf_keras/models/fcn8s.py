"""FCN8s (Long et al. 2015) on any backbone: one score map per stride, summed (Section 2.3)."""

from __future__ import annotations

from keras import layers

from taf_keras.config import ModelConfig
from taf_keras.models.layers import ResizeLike

_LEVELS = {"stride32": "P5", "stride16": "P4", "stride8": "P3"}


def features(levels: dict, config: ModelConfig) -> dict:
    """Φ: the three coarsest levels of the backbone, {branch: (batch, h, w, channels)}."""
    return {branch: levels[level] for branch, level in _LEVELS.items()}


def projection(features: dict, num_classes: int, config: ModelConfig) -> dict:
    """The 1×1 score convolutions: {branch: (batch, h, w, classes)}."""
    return {
        branch: layers.Conv2D(num_classes, 1, name=f"{branch}_score")(x) for branch, x in features.items()
    }


def head(terms: dict, num_classes: int, config: ModelConfig):
    """The rest of Ω: upsample by two and add, twice. Returns logits at stride 8."""
    score = ResizeLike(name="up16")([terms["stride32"], terms["stride16"]])
    score = layers.Add(name="add16")([score, terms["stride16"]])
    score = ResizeLike(name="up8")([score, terms["stride8"]])
    return layers.Add(name="logits", dtype="float32")([score, terms["stride8"]])
