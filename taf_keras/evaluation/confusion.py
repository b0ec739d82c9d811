"""The confusion matrix of a whole split as a Keras metric, and the figures that come from it."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from taf_keras.clips.clip import VOID
from taf_keras.models.replicas import sum_over_replicas


class ConfusionMatrix(keras.metrics.Metric):
    """Counts pixels by (true class, predicted class), on all replicas; void pixels do not count.

    `result()` is {"miou": …, "pixel_accuracy": …, "iou/<class>": …}. A class that occurs neither in
    truth nor in prediction has no IoU: it is NaN and left out of the mean.
    """

    def __init__(self, class_names, name="confusion", **kwargs):
        super().__init__(name=name, dtype="float32", **kwargs)
        self.class_names = tuple(class_names)
        size = len(self.class_names)
        # int64 counts exactly; float32 would stop counting at 2^24 pixels of one kind.
        self.counts = self.add_variable(
            (size, size), "zeros", dtype="int64", aggregation="only_first_replica", name="counts"
        )

    def update_state(self, labels, predictions, sample_weight=None):
        """Adds a batch: integer train ids of equal shapes."""
        matrices = confusion_matrices(labels, predictions, len(self.class_names))
        self.counts.assign_add(sum_over_replicas(ops.sum(matrices, axis=0)))

    def result(self):
        values = summarise(ops.cast(self.counts, "float32"), ops)
        results = {"miou": values["miou"], "pixel_accuracy": values["pixel_accuracy"]}
        names = (f"iou/{name}" for name in self.class_names)
        return results | dict(zip(names, ops.unstack(values["per_class_iou"]), strict=True))


def confusion_matrices(labels, predictions, classes: int):
    """Pixel counts of each example, int64 (batch, classes, classes), truth in rows.

    Args:
        labels: integer train ids (batch, …); VOID pixels do not count.
        predictions: integer train ids of the same shape.
    """
    labels, predictions = (
        ops.reshape(ops.cast(x, "int32"), (ops.shape(x)[0], -1)) for x in (labels, predictions)
    )
    # Void goes to a cell of its own after those of the matrix, which is cut off.
    cells = ops.where(labels == VOID, classes**2, labels * classes + predictions)
    batch, size = ops.shape(cells)[0], classes**2 + 1
    own = ops.reshape(cells + size * ops.expand_dims(ops.arange(batch), axis=1), (-1,))
    # Not a bincount, which XLA cannot compile. Sums of integers are the same in any order.
    counts = ops.segment_sum(ops.ones_like(own), own, num_segments=batch * size)
    counts = ops.cast(ops.reshape(counts, (batch, size))[:, :-1], "int64")
    return ops.reshape(counts, (-1, classes, classes))


def summarise(counts, xp=np) -> dict:
    """mIoU, pixel accuracy, per-class IoU and accuracy of a confusion matrix (classes, classes).

    Rows are the truth, columns the prediction. All values are shares in [0, 1]; per-class IoU is NaN
    for a class in neither, per-class accuracy NaN for a class not in the truth. `xp` is numpy or
    keras.ops.
    """
    hits = xp.diagonal(counts)
    truth, predicted = xp.sum(counts, axis=1), xp.sum(counts, axis=0)
    union = truth + predicted - hits
    iou = xp.where(union > 0, hits / xp.maximum(union, 1), float("nan"))
    accuracy = xp.where(truth > 0, hits / xp.maximum(truth, 1), float("nan"))
    present = xp.sum(xp.cast(union > 0, counts.dtype) if xp is ops else union > 0)
    return {
        "miou": xp.sum(xp.where(union > 0, iou, 0.0)) / xp.maximum(present, 1),
        "pixel_accuracy": xp.sum(hits) / xp.maximum(xp.sum(counts), 1),
        "per_class_iou": iou,
        "per_class_accuracy": accuracy,
    }
