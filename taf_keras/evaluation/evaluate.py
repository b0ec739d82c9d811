"""Evaluation of a single-frame model on a split: the numbers of metrics.json."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np
import tensorflow as tf

from taf_keras.clips.clip import Split
from taf_keras.errors import UserError, first_line
from taf_keras.evaluation.compiled import for_any_batch
from taf_keras.evaluation.confusion import confusion_matrices, summarise
from taf_keras.pipeline.batches import evaluation_batches, reader_errors

Predict = Callable[[np.ndarray], np.ndarray]  # uint8 RGB (b, h, w, 3) -> train ids (b, h, w)
Probabilities = Callable[[np.ndarray], tf.Tensor]  # the same -> float32 (b, h, w, classes)


def network_predictor(network: keras.Model) -> Predict:
    """Predicts with a model of `build_model`. Calling it raises UserError where the logits are not finite."""

    @for_any_batch
    def predict(images):
        logits = network(tf.cast(images, tf.float32), training=False)
        return tf.argmax(logits, axis=-1, output_type=tf.int32), is_finite(logits)

    return lambda images: refuse_nonfinite(*predict(images))


def network_probabilities(network: keras.Model) -> Probabilities:
    """The softmax of a model of `build_model`."""

    @for_any_batch
    def probabilities(images):
        logits = network(tf.cast(images, tf.float32), training=False)
        return tf.nn.softmax(tf.cast(logits, tf.float32))

    return probabilities


def is_finite(scores):
    return tf.math.is_finite(tf.reduce_sum(scores))  # one pass: what is not finite stays so in a sum


def refuse_nonfinite(labels, finite) -> np.ndarray:
    if not finite:
        raise UserError("the network's predictions are not finite: its training has diverged")
    return labels.numpy()


def saved_model_predictor(folder: str) -> Predict:
    """Predicts with an exported model. Calling it raises UserError where probabilities are not finite.

    Raises: UserError where `folder` holds no exported model, or a damaged one.
    """
    model = load_saved(folder)

    def predict(images):
        outputs = model.serve(images)
        return refuse_nonfinite(outputs["labels"], is_finite(outputs["probabilities"]))

    return predict


def saved_model_probabilities(folder: str) -> Probabilities:
    """Those of an exported model. Raises: UserError as `saved_model_predictor` does."""
    model = load_saved(folder)
    return lambda images: model.serve(images)["probabilities"]


def load_saved(folder: str):
    if not (Path(folder) / "saved_model.pb").is_file():
        raise UserError(f"{folder}: holds no exported model (saved_model.pb)")
    try:
        with _without_wildcards(folder) as path:
            model = tf.saved_model.load(path)
    except Exception as error:  # TensorFlow has many for a damaged file
        raise UserError(f"{folder}: not an exported model, or damaged: {first_line(error)}") from None
    if not hasattr(model, "serve"):
        raise UserError(f"{folder}: is no model that train.py exported: it has no endpoint serve")
    return model  # whole: its function alone does not keep its variables alive


@contextmanager
def _without_wildcards(folder: str) -> Iterator[str]:
    """A path to `folder` that is no pattern: TensorFlow looks for the variables by one."""
    if set("*?[]\\").isdisjoint(Path(folder).as_posix()):
        yield folder
        return
    with TemporaryDirectory(prefix="taf_keras_export_") as temporary:
        link = Path(temporary) / "export"
        link.symlink_to(Path(folder).absolute(), target_is_directory=True)
        yield str(link)


def evaluate_split(
    predict: Predict,
    split: Split,
    image_size,
    reader_threads: int = 2,
    on_progress=None,
    batch_size: int | None = None,
    on_predictions: Callable[[int, np.ndarray], None] | None = None,
) -> tuple[dict, np.ndarray]:
    """Confusion matrices of every key frame of the split, at full size without augmentation.

    Args:
        on_progress: called as on_progress(frames done, frames in all).
        batch_size: see `evaluation_batches`.
        on_predictions: called with each batch as on_predictions(position of its first frame, train ids
            (b, height, width)).
    Returns: the metrics of the whole split (see `metrics`), and int64 confusion matrices
        (frames, classes, classes) with the truth in rows.
    """
    matrices = []
    with reader_errors():
        for batch in evaluation_batches(split, image_size, batch_size, reader_threads):
            predictions = predict(batch["image"])
            if on_predictions:
                on_predictions(len(matrices), predictions)
            matrices += list(confusion_matrices(batch["label"], predictions, len(split.classes)).numpy())
            if on_progress:
                on_progress(len(matrices), len(split.clips))
    matrices = np.stack(matrices)
    return metrics(matrices, split), matrices


def confusion_matrix(label: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """int64 (classes, classes) pixel counts of one or more maps, truth in rows; void pixels do not count."""
    return confusion_matrices(label.reshape(1, -1), prediction.reshape(1, -1), classes)[0].numpy()


def metrics(matrices: np.ndarray, split: Split) -> dict:
    """mIoU, pixel accuracy and per-class figures of the sum of `matrices`; shares in [0, 1].

    mIoU is the mean over the classes that occur in truth or prediction; a class in neither is NaN.
    """
    values = summarise(matrices.sum(axis=0).astype(np.float64))
    names = split.classes.names
    return {
        "split": split.name,
        "frames": len(matrices),
        "miou": float(values["miou"]),
        "miou_classes": int(np.isfinite(values["per_class_iou"]).sum()),
        "pixel_accuracy": float(values["pixel_accuracy"]),
        "mean_class_accuracy": float(np.nanmean(values["per_class_accuracy"])),
        "per_class_iou": dict(zip(names, map(float, values["per_class_iou"]), strict=True)),
        "per_class_accuracy": dict(zip(names, map(float, values["per_class_accuracy"]), strict=True)),
    }


def describe(results: dict) -> str:
    """The metrics as a few lines for the terminal, in percent."""
    worst_first = sorted(results["per_class_iou"].items(), key=lambda item: (np.isnan(item[1]), item[1]))
    classes = ", ".join(f"{name} {iou:.1%}" for name, iou in worst_first if not np.isnan(iou))
    untrained = results.get("untrained_classes", ())
    absent = ", ".join(name for name, iou in worst_first if np.isnan(iou))
    among = f" of {len(worst_first)}" if absent else ""
    return (
        f"mIoU {results['miou']:.2%} (mean of {results['miou_classes']}{among} classes)   "
        f"pixel accuracy {results['pixel_accuracy']:.2%}   "
        f"({results['frames']} frames of {results['split']})\nIoU per class: {classes}"
        + (f"; neither in truth nor in prediction: {absent}" if absent else "")
        + (f"\nno pixel in the training labels: {', '.join(untrained)}" if untrained else "")
    )
