"""The losses of Eq. 6, each a pure function with one value per example, in float32."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from keras import ops

from taf_keras.clips.clip import VOID

DISTANCES = ("l1", "l2", "symmetric_cross_entropy")
CONTRASTS = {
    "softmax": lambda outputs: ops.softmax(outputs, axis=-1),
    "sigmoid": ops.sigmoid,
    "identity": lambda outputs: outputs,
}


def masked_mean(values, mask=None):
    """Mean of `values` (batch, …) where `mask`, of the same shape, is set; 0 where it is nowhere.

    Returns: (batch,). Without a mask it is the mean over everything.
    """
    axes = tuple(range(1, len(values.shape)))
    if mask is None:
        return ops.mean(values, axis=axes)
    mask = ops.cast(mask, values.dtype)
    total = ops.sum(values * mask, axis=axes)
    count = ops.sum(mask, axis=axes)
    return total / ops.maximum(count, 1)


def cross_entropy(logits, labels, class_weights=None):
    """Mean cross entropy over the labelled pixels of each example.

    Args:
        logits: float (batch, height, width, classes).
        labels: integer train ids (batch, height, width); VOID pixels, which include padding, do not count.
        class_weights: float32 (classes,), a factor for the pixels of each class, or None.
    Returns: float32 (batch,); 0 for an example without a labelled pixel.
    """
    logits, labels = ops.cast(logits, "float32"), ops.cast(labels, "int32")
    counts = labels != VOID
    labels = ops.where(counts, labels, 0)
    per_pixel = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    if class_weights is not None:
        per_pixel = per_pixel * ops.take(ops.convert_to_tensor(class_weights, "float32"), labels)
    return masked_mean(per_pixel, counts)


def difference(outputs_a, outputs_b, valid=None, distance: str = "l1", contrast="softmax"):
    """δ (Eq. 3): how far two predictions of the same pixels lie apart.

    Args:
        outputs_a, outputs_b: float (batch, …, channels), of a segmentation (batch, height, width, classes).
        valid: bool (batch, …), False in the padding; None is everywhere.
        distance: `l1`, mean absolute difference; `l2`, mean squared difference; `symmetric_cross_entropy`,
            H(a, b) + H(b, a) − H(a) − H(b) over two, the cross entropies less their floor, so that
            equal predictions have distance 0 as the hinge needs (5.5). It is one of softmax outputs.
        contrast: what is compared: `softmax` of logits, `sigmoid` of the logits of independent classes,
            `identity` for probabilities and regression (of logits it degenerates: 5.5), or a function of
            the outputs.
    Returns: float32 (batch,), the mean over valid pixels and channels.
    """
    a, b = ops.cast(outputs_a, "float32"), ops.cast(outputs_b, "float32")
    if distance == "symmetric_cross_entropy":
        p, q = ops.softmax(a, axis=-1), ops.softmax(b, axis=-1)
        log_ratio = ops.log_softmax(a, axis=-1) - ops.log_softmax(b, axis=-1)
        per_channel = 0.5 * (p - q) * log_ratio
    else:
        compared = CONTRASTS.get(contrast, contrast)
        a, b = compared(a), compared(b)
        per_channel = ops.abs(a - b) if distance == "l1" else ops.square(a - b)
    return masked_mean(ops.mean(per_channel, axis=-1), valid)


def slack(change_rates: Sequence[float], sampled, change):
    """|Δ|·c_i for the sampled branch of each example (Eq. 4).

    Args:
        change_rates: c_1 … c_m; an infinite one gives an infinite slack, also where `change` is 0.
        sampled: int (batch,), index of the branch.
        change: float32 (batch,): |n| in frames, or the input's own change (5.4).
    """
    finite = np.array([c if math.isfinite(c) else 0.0 for c in change_rates], np.float32)
    infinite = np.array([math.isinf(c) for c in change_rates])
    limit = ops.take(ops.convert_to_tensor(finite), sampled) * change
    # inf · 0 would be NaN, so infinite rates never enter a product.
    return ops.where(ops.take(ops.convert_to_tensor(infinite), sampled), math.inf, limit)


def hinge(delta, limit):
    """R+ = max(0, δ − |Δ|·c_i) (Eq. 4)."""
    return ops.relu(delta - limit)


def input_change(images_a, images_b, valid=None):
    """The input's own L1 change (5.4): mean absolute difference of RGB in [0, 1] over valid pixels.

    Args: images (batch, height, width, 3) in [0, 255]. Returns: float32 (batch,).
    """
    a, b = ops.cast(images_a, "float32") / 255, ops.cast(images_b, "float32") / 255
    return masked_mean(ops.mean(ops.abs(a - b), axis=-1), valid)
