import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from taf_keras.clips.clip import VOID
from taf_keras.evaluation.confusion import ConfusionMatrix, confusion_matrices, summarise
from taf_keras.evaluation.evaluate import confusion_matrix

NAMES = ("road", "car", "sky", "tree")


def random_maps(seed: int = 0, frames: int = 5, size=(6, 7), classes: int = len(NAMES)):
    """(labels with a fifth of void, predictions): uint8 (frames, height, width)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, (frames, *size)).astype(np.uint8)
    labels[rng.random(labels.shape) < 0.2] = VOID
    # Mostly right, so that the shares are not all alike.
    wrong = rng.random(labels.shape) < 0.4
    return labels, np.where(wrong | (labels == VOID), rng.integers(0, classes, labels.shape), labels)


def counted(labels, predictions, classes: int = len(NAMES)) -> np.ndarray:
    """Pixel by pixel."""
    matrix = np.zeros((classes, classes), np.int64)
    for label, prediction in zip(labels.flat, predictions.flat, strict=True):
        if label != VOID:
            matrix[label, prediction] += 1
    return matrix


def measured(*batches, names=NAMES) -> ConfusionMatrix:
    metric = ConfusionMatrix(names)
    for labels, predictions in batches:
        metric.update_state(labels, predictions)
    return metric


def numbers(metric) -> dict[str, float]:
    return {name: float(value) for name, value in metric.result().items()}


def test_counts_are_those_of_a_loop_over_pixels():
    labels, predictions = random_maps()
    expected = counted(labels, predictions)
    np.testing.assert_array_equal(measured((labels, predictions)).counts, expected)
    np.testing.assert_array_equal(confusion_matrix(labels, predictions, len(NAMES)), expected)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_each_example_has_its_own_matrix_with_xla_too(jit_compile):
    labels, predictions = random_maps()
    function = tf.function(confusion_matrices, jit_compile=jit_compile)
    matrices = function(tf.constant(labels), tf.constant(predictions), len(NAMES))
    expected = [counted(*maps) for maps in zip(labels, predictions, strict=True)]
    np.testing.assert_array_equal(matrices, expected)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
def test_any_integer_type_will_do(dtype):
    labels, predictions = random_maps()
    metric = measured((labels.astype(dtype), predictions.astype(dtype)))
    np.testing.assert_array_equal(metric.counts, counted(labels, predictions))


def test_shares_by_hand():
    """Truth 0 0 0 1 1 1 2 2, prediction 0 0 1 1 1 0 1 2.

    Hits 2, 2, 1. Unions: class 0 has 3 + 3 − 2 = 4, class 1 has 3 + 4 − 2 = 5, class 2 has 2 + 1 − 1 = 2.
    """
    labels, predictions = np.uint8([[0, 0, 0, 1, 1, 1, 2, 2]]), np.uint8([[0, 0, 1, 1, 1, 0, 1, 2]])
    values = summarise(counted(labels, predictions, 3).astype(float))
    np.testing.assert_allclose(values["per_class_iou"], [2 / 4, 2 / 5, 1 / 2])
    np.testing.assert_allclose(values["per_class_accuracy"], [2 / 3, 2 / 3, 1 / 2])
    assert values["miou"] == pytest.approx((1 / 2 + 2 / 5 + 1 / 2) / 3)
    assert values["pixel_accuracy"] == pytest.approx(5 / 8)
    metric = numbers(measured((labels, predictions), names=NAMES[:3]))
    assert metric == pytest.approx(
        {
            "miou": 1.4 / 3,
            "pixel_accuracy": 5 / 8,
            "iou/road": 1 / 2,
            "iou/car": 2 / 5,
            "iou/sky": 1 / 2,
        }
    )


def test_void_does_not_count():
    labels, predictions = random_maps()
    metric = measured((labels, predictions))
    assert int(np.sum(metric.counts)) == np.sum(labels != VOID)
    other = np.where(labels == VOID, (predictions + 1) % len(NAMES), predictions)
    np.testing.assert_array_equal(measured((labels, other)).counts, metric.counts)
    only_void = np.full((2, 3), VOID, np.uint8)
    metric.update_state(only_void, np.zeros((2, 3), np.uint8))
    assert int(np.sum(metric.counts)) == np.sum(labels != VOID)


def test_absent_classes_are_nan_and_not_in_the_mean():
    """Class 2 is in neither; class 3 is predicted though absent, which is an IoU of 0 and counts."""
    labels, predictions = np.uint8([[0, 0, 1, 1]]), np.uint8([[0, 0, 1, 3]])
    metric = numbers(measured((labels, predictions)))
    assert math.isnan(metric["iou/sky"])
    assert metric["iou/tree"] == 0
    assert metric["miou"] == pytest.approx((1 + 1 / 2 + 0) / 3)
    values = summarise(counted(labels, predictions).astype(float))
    np.testing.assert_array_equal(np.isnan(values["per_class_iou"]), [False, False, True, False])
    # Accuracy is of the truth, in which class 3 does not occur either.
    np.testing.assert_array_equal(np.isnan(values["per_class_accuracy"]), [False, False, True, True])
    assert values["miou"] == pytest.approx(0.5)


def test_nothing_labelled_is_no_division_by_zero():
    metric = numbers(measured((np.full((2, 2), VOID, np.uint8), np.zeros((2, 2), np.uint8))))
    assert metric["miou"] == metric["pixel_accuracy"] == 0
    assert all(math.isnan(metric[f"iou/{name}"]) for name in NAMES)


def test_counts_are_exact_beyond_the_mantissa_of_float32():
    """2^24 + 1 is no float32: a count kept there would stand still. 2^40 is no int32 either."""
    metric = ConfusionMatrix(NAMES)
    for start in (2**24, 2**40):
        metric.counts.assign(np.full((4, 4), start, np.int64))
        metric.update_state(np.uint8([1, 1, 1]), np.uint8([2, 2, 3]))
        expected = np.full((4, 4), start, np.int64)
        expected[1, 2] += 2
        expected[1, 3] += 1
        np.testing.assert_array_equal(metric.counts, expected)
    counts = np.full((2, 2), 2**40, np.int64)
    assert summarise(counts)["pixel_accuracy"] == 0.5


def test_batches_in_any_split_give_the_same_result():
    labels, predictions = random_maps(frames=7)
    whole = measured((labels, predictions))
    for cuts in ([3], [1, 2, 5], [1, 2, 3, 4, 5, 6]):
        parts = zip(np.split(labels, cuts), np.split(predictions, cuts), strict=True)
        split = measured(*parts)
        np.testing.assert_array_equal(split.counts, whole.counts)
        assert numbers(split) == numbers(whole)
    order = np.random.default_rng(0).permutation(7)
    assert numbers(measured((labels[order], predictions[order]))) == numbers(whole)


def test_reset_forgets_everything():
    metric = measured(random_maps())
    metric.reset_state()
    assert not np.any(metric.counts)


def test_the_metric_and_the_matrices_of_single_frames_agree():
    labels, predictions = random_maps()
    matrices = [confusion_matrix(*maps, len(NAMES)) for maps in zip(labels, predictions, strict=True)]
    values = summarise(np.sum(matrices, axis=0))
    metric = numbers(measured((labels, predictions)))
    assert metric["miou"] == pytest.approx(values["miou"], rel=1e-6)
    assert metric["pixel_accuracy"] == pytest.approx(values["pixel_accuracy"], rel=1e-6)
    shares = [metric[f"iou/{name}"] for name in NAMES]
    np.testing.assert_allclose(shares, values["per_class_iou"], rtol=1e-6)


def test_summaries_of_numpy_and_keras_agree():
    matrix = counted(*random_maps()).astype(np.float32)
    matrix[2], matrix[:, 2] = 0, 0  # a class in neither
    by_numpy, by_keras = summarise(matrix), summarise(keras.ops.convert_to_tensor(matrix), keras.ops)
    for name, value in by_numpy.items():
        np.testing.assert_allclose(by_keras[name], value, rtol=1e-6)
