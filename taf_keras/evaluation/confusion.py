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
        size = len(self.class_names)
        labels = ops.reshape(ops.cast(labels, "int32"), (-1,))
        predictions = ops.reshape(ops.cast(predictions, "int32"), (-1,))
        # Void goes to a bin of its own behind the matrix, which is cut off.
        cells = ops.where(labels == VOID, size * size, labels * size + predictions)
        # Not ops.bincount, which XLA cannot compile.
        counts = ops.segment_sum(ops.ones_like(cells), cells, size * size + 1)[: size * size]
        self.counts.assign_add(sum_over_replicas(ops.cast(ops.reshape(counts, (size, size)), "int64")))

    def result(self):
        values = summarise(ops.cast(self.counts, "float32"), ops)
        results = {"miou": values["miou"], "pixel_accuracy": values["pixel_accuracy"]}
        for i, name in enumerate(self.class_names):
            results[f"iou/{name}"] = values["per_class_iou"][i]
        return results


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
