"""FCN8s (Long et al. 2015) on any backbone: one score map per stride, summed (Section 2.3)."""

from __future__ import annotations

from keras import layers

from taf_keras.config import ModelConfig
from taf_keras.models.layers import ResizeLike

_LEVELS = {"stride32": "P5", "stride16": "P4", "stride8": "P3"}


def logits(levels: dict, num_classes: int, config: ModelConfig):
    """{"P3": …, "P4": …, "P5": …} -> logits at stride 8.

    Φ are the three levels. They are swapped as the score maps that Ω makes of them first (`config.BRANCHES`):
    an affine map commutes with the swap.
    """
    scores = {
        branch: layers.Conv2D(num_classes, 1, name=f"{branch}_score")(levels[level])
        for branch, level in _LEVELS.items()
    }
    # Upsample by two and add, twice.
    score = ResizeLike(name="up16")([scores["stride32"], scores["stride16"]])
    score = layers.Add(name="add16")([score, scores["stride16"]])
    score = ResizeLike(name="up8")([score, scores["stride8"]])
    return layers.Add(name="logits", dtype="float32")([score, scores["stride8"]])
