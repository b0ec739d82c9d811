import math

import numpy as np
import pytest
import tensorflow as tf

from taf_keras.clips.clip import VOID
from taf_keras.config import CONTRASTIVE_LOSSES
from taf_keras.taf import losses

# Logits whose softmax is (1/4, 3/4) and (1/2, 1/2).
QUARTER, HALF = (0.0, math.log(3)), (0.0, 0.0)
EVERYWHERE = np.ones((1, 1, 1), bool)


def pixels(*logits) -> np.ndarray:
    """float32 (1, 1, n, classes): one row of n pixels."""
    return np.float32(logits)[None, None]


def random_logits(seed: int, shape=(3, 4, 5, 6)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32) * 3


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def gradient(function, *values):
    values = [tf.constant(value) for value in values]
    with tf.GradientTape() as tape:
        for value in values:
            tape.watch(value)
        result = tf.reduce_sum(function(*values))
    return [g.numpy() for g in tape.gradient(result, values)]


# --- Cross entropy with weights of classes ---


def test_class_weights_are_factors_of_the_pixels_of_their_class():
    """By hand: CE is log 4 where the label has 1/4, log 4/3 where it has 3/4; a void pixel counts nowhere."""
    logits = pixels(QUARTER, QUARTER, QUARTER)
    labels = np.int32([[[0, 1, VOID]]])
    entropy = losses.cross_entropy(logits, labels, np.float32([3, 0.5]))
    np.testing.assert_allclose(entropy, [(3 * math.log(4) + 0.5 * math.log(4 / 3)) / 2], rtol=1e-6)


def test_class_weights_of_1_change_nothing():
    logits, labels = random_logits(0), np.random.default_rng(1).integers(0, 6, (3, 4, 5))
    np.testing.assert_array_equal(
        losses.cross_entropy(logits, labels, np.ones(6, np.float32)), losses.cross_entropy(logits, labels)
    )


# --- R+ (Eq. 4) -------------------------------------------------------------------------------------


def test_hinge_on_both_sides_of_its_kink():
    delta, limit = np.float32([0.2, 0.5, 0.5, 0.75, 0.1]), np.float32([0.5, 0.5, 0.25, 0.0, math.inf])
    np.testing.assert_array_equal(losses.hinge(delta, limit), np.float32([0, 0, 0.25, 0.75, 0]))


def test_hinge_pulls_above_the_slack_alone():
    """Slope 1 above, 0 below, at the kink and under an infinite slack."""
    delta, limit = np.float32([0.2, 0.5, 0.51, 0.75, 0.1]), np.float32([0.5, 0.5, 0.5, 0.0, math.inf])
    (slope,) = gradient(lambda d: losses.hinge(d, tf.constant(limit)), delta)
    np.testing.assert_array_equal(slope, [0, 0, 1, 1, 0])


def test_slack_is_the_rate_of_the_drawn_branch_times_the_change():
    rates = (0.5, 2.0, math.inf, 0.0)
    limit = losses.slack(rates, np.int32([0, 1, 1, 3]), np.float32([4, 4, 0, 7]))
    np.testing.assert_array_equal(limit, np.float32([2, 8, 0, 0]))
    assert limit.dtype == "float32"


def test_infinite_slack_stays_infinite_at_n_0():
    limit = losses.slack((1.0, math.inf), np.int32([1, 1, 0]), np.float32([0, 3, 0]))
    np.testing.assert_array_equal(limit, np.float32([math.inf, math.inf, 0]))


def test_no_slack_when_no_rate_is_finite():
    limit = losses.slack((math.inf,) * 2, np.int32([0, 1]), np.float32([0, 1]))
    assert np.isposinf(limit).all()


# --- δ (Eq. 3, 5.5) ---------------------------------------------------------------------------------


def test_l1_of_two_pixels():
    """|1/4 − 1/2| = |3/4 − 1/2| = 1/4 in one pixel, 0 in the other: 1/4 over classes, 1/8 over pixels."""
    a, b = pixels(QUARTER, HALF), pixels(HALF, HALF)
    np.testing.assert_allclose(losses.difference(a, b, np.ones((1, 1, 2), bool)), [1 / 8], rtol=1e-6)


def test_l1_is_a_mean_over_classes():
    """Probabilities (1, 0, 0, 0) and (0, 1, 0, 0) differ by 2 in all, and by 2/4 in the mean."""
    a, b = pixels((100, 0, 0, 0)), pixels((0, 100, 0, 0))
    np.testing.assert_allclose(losses.difference(a, b, EVERYWHERE), [0.5], rtol=1e-6)


def test_l2():
    """The mean of (1/4)² and (1/4)²."""
    values = losses.difference(pixels(QUARTER), pixels(HALF), EVERYWHERE, "l2")
    np.testing.assert_allclose(values, [1 / 16], rtol=1e-6)


def test_symmetric_cross_entropy():
    """(Σ (p − q)·(ln p − ln q)) / 2 with p = (1/4, 3/4), q = (1/2, 1/2).

    −1/4 · ln(1/2) + 1/4 · ln(3/2) = 1/4 · ln 3; the half and the mean over two classes leave ln(3)/16.
    """
    values = losses.difference(pixels(QUARTER), pixels(HALF), EVERYWHERE, "symmetric_cross_entropy")
    np.testing.assert_allclose(values, [math.log(3) / 16], rtol=1e-6)


def test_symmetric_cross_entropy_is_what_its_name_says():
    """H(a, b) + H(b, a) − H(a) − H(b) over two, each a mean over classes, from float64 probabilities."""
    a, b = random_logits(0), random_logits(1)
    p, q = softmax(a.astype(np.float64)), softmax(b.astype(np.float64))
    entropies = -p * np.log(q) - q * np.log(p) + p * np.log(p) + q * np.log(q)
    values = losses.difference(a, b, np.ones((3, 4, 5), bool), "symmetric_cross_entropy")
    np.testing.assert_allclose(values, entropies.mean(axis=(1, 2, 3)) / 2, rtol=1e-5)


@pytest.mark.parametrize(("distance", "expected"), [("l1", (1 + 3) / 2), ("l2", (1 + 9) / 2)])
def test_logits_may_be_compared_instead(distance, expected):
    a, b = pixels((1.0, 5.0)), pixels((2.0, 2.0))
    assert losses.difference(a, b, EVERYWHERE, distance, contrast="identity").numpy() == [expected]


def test_classes_that_do_not_exclude_one_another_are_compared_behind_a_sigmoid():
    """Of logits 0, ln 3 and −ln 3: 1/2, 3/4 and 1/4. |1/2 − 3/4| and |3/4 − 1/4|, and their mean."""
    a, b = pixels((0.0, math.log(3))), pixels((math.log(3), -math.log(3)))
    np.testing.assert_allclose(losses.difference(a, b, contrast="sigmoid"), [3 / 8], rtol=1e-6)
    squares = losses.difference(a, b, distance="l2", contrast="sigmoid")
    np.testing.assert_allclose(squares, [(1 / 16 + 1 / 4) / 2], rtol=1e-6)


def test_a_function_of_the_outputs_may_be_compared():
    """The first channel's square alone, in float32: |1 − 9| and |4 − 1|, and their mean over pixels."""

    def first_squared(outputs):
        assert outputs.dtype == "float32"
        return outputs[..., :1] ** 2

    a, b = np.float16(pixels((1.0, 7.0), (2.0, 8.0))), np.float16(pixels((3.0, 5.0), (1.0, 6.0)))
    np.testing.assert_array_equal(losses.difference(a, b, contrast=first_squared), [(8 + 3) / 2])


@pytest.mark.parametrize("shape", [(3, 5), (3, 4, 5), (3, 2, 4, 3, 5)], ids=["vector", "row", "volume"])
def test_outputs_of_any_rank(shape):
    """Of each example, the mean over all but the batch."""
    a, b = random_logits(0, shape), random_logits(1, shape)
    expected = np.abs(softmax(a) - softmax(b)).reshape(3, -1).mean(axis=1)
    np.testing.assert_allclose(losses.difference(a, b), expected, rtol=1e-5)


def test_without_a_mask_every_pixel_counts():
    a, b = random_logits(0), random_logits(1)
    everywhere = losses.difference(a, b, np.ones((3, 4, 5), bool))
    np.testing.assert_allclose(losses.difference(a, b), everywhere, rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 7), (2, 3, 4), (2, 3, 2, 5)])
def test_a_masked_mean_is_one_of_what_the_mask_holds(shape):
    """The last example's mask is empty: 0."""
    rng = np.random.default_rng(0)
    values, mask = rng.normal(size=(3, *shape[1:])).astype(np.float32), rng.random((3, *shape[1:])) < 0.5
    mask[2] = False
    expected = [values[example][mask[example]].mean() for example in range(2)]
    np.testing.assert_allclose(losses.masked_mean(values, mask), [*expected, 0], rtol=1e-5)
    means = values.reshape(3, -1).mean(axis=1)
    np.testing.assert_allclose(losses.masked_mean(values), means, rtol=1e-4)


def test_a_masked_mean_of_a_number_for_each_example_is_that_number_where_it_counts():
    """Of classification, whose δ has no pixels."""
    values, mask = np.float32([1.5, 2.5]), np.bool_([True, False])
    np.testing.assert_array_equal(losses.masked_mean(values, mask), [1.5, 0])
    np.testing.assert_array_equal(losses.masked_mean(values), values)


def test_the_settings_and_the_library_have_the_same_distances():
    assert losses.DISTANCES == CONTRASTIVE_LOSSES


@pytest.mark.parametrize("distance", losses.DISTANCES)
class TestEveryDistance:
    def test_equal_predictions_have_distance_exactly_zero_and_no_slope(self, distance):
        logits, valid = random_logits(0) * 30, np.ones((3, 4, 5), bool)
        assert (losses.difference(logits, logits.copy(), valid, distance).numpy() == 0.0).all()
        slopes = gradient(lambda a, b: losses.difference(a, b, valid, distance), logits, logits.copy())
        np.testing.assert_array_equal(slopes, np.zeros_like(slopes))

    def test_it_is_symmetric_and_positive(self, distance):
        a, b, valid = random_logits(0), random_logits(1), np.ones((3, 4, 5), bool)
        there, back = losses.difference(a, b, valid, distance), losses.difference(b, a, valid, distance)
        np.testing.assert_allclose(there, back, rtol=1e-6)
        assert (there.numpy() > 0).all()

    def test_padding_does_not_count(self, distance):
        a, b = random_logits(0), random_logits(1)
        valid = np.random.default_rng(2).random((3, 4, 5)) < 0.5
        expected = []
        for example, inside in enumerate(valid):  # each valid pixel as an image of its own
            x, y = a[example][inside][:, None, None], b[example][inside][:, None, None]
            ones = np.ones((len(x), 1, 1), bool)
            expected.append(np.mean(losses.difference(x, y, ones, distance)))
        np.testing.assert_allclose(losses.difference(a, b, valid, distance), expected, rtol=1e-5)
        (slope,) = gradient(lambda a: losses.difference(a, b, valid, distance), a)
        np.testing.assert_array_equal(slope.any(axis=-1), valid)

    def test_an_example_without_valid_pixels_has_distance_0(self, distance):
        a, b, valid = random_logits(0), random_logits(1), np.ones((3, 4, 5), bool)
        valid[1] = False
        values = losses.difference(a, b, valid, distance).numpy()
        assert values[1] == 0
        assert np.isfinite(values).all()
        (slope,) = gradient(lambda a: losses.difference(a, b, valid, distance), a)
        assert np.isfinite(slope).all()
        assert not slope[1].any()

    def test_half_precision_is_left_before_the_softmax(self, distance):
        a, b, valid = np.float16(random_logits(0)), np.float16(random_logits(1)), np.ones((3, 4, 5), bool)
        values = losses.difference(a, b, valid, distance)
        assert values.dtype == "float32"
        np.testing.assert_array_equal(
            values, losses.difference(np.float32(a), np.float32(b), valid, distance)
        )

    def test_extreme_logits_stay_finite(self, distance):
        a, b = pixels((1e4, -1e4)), pixels((-1e4, 1e4))
        assert np.isfinite(losses.difference(a, b, EVERYWHERE, distance)).all()
        assert np.isfinite(gradient(lambda a: losses.difference(a, b, EVERYWHERE, distance), a)).all()


# --- Cross entropy ----------------------------------------------------------------------------------


def test_cross_entropy_of_two_pixels():
    """−ln(3/4) and −ln(1/2), and their mean per example."""
    logits = np.concatenate([pixels(QUARTER, HALF), pixels(HALF, HALF)])
    labels = np.uint8([[[1, 0]], [[0, 1]]])
    expected = [(math.log(4 / 3) + math.log(2)) / 2, math.log(2)]
    np.testing.assert_allclose(losses.cross_entropy(logits, labels), expected, rtol=1e-6)


def test_void_does_not_count():
    """Neither in the sum nor in the number of pixels, nor has it a gradient."""
    logits = np.concatenate([pixels(QUARTER, HALF, (9, -9)), pixels(HALF, QUARTER, (3, 3))])
    labels = np.uint8([[[1, VOID, VOID]], [[VOID, 0, 0]]])
    expected = [math.log(4 / 3), (math.log(4) + math.log(2)) / 2]
    np.testing.assert_allclose(losses.cross_entropy(logits, labels), expected, rtol=1e-6)
    (slope,) = gradient(lambda x: losses.cross_entropy(x, labels), logits)
    np.testing.assert_array_equal(slope[labels == VOID], 0)
    assert slope[labels != VOID].any(axis=-1).sum() == 3


def test_cross_entropy_without_labelled_pixels_is_0():
    logits, labels = random_logits(0), np.zeros((3, 4, 5), np.uint8)
    labels[1] = VOID
    values = losses.cross_entropy(logits, labels).numpy()
    assert values[1] == 0
    assert np.isfinite(values).all()
    (slope,) = gradient(lambda x: losses.cross_entropy(x, labels), logits)
    assert np.isfinite(slope).all()
    assert not slope[1].any()


def test_each_example_weighs_the_same():
    """A mean of per-example means: a nearly void example is not drowned by a full one."""
    logits = random_logits(0, (2, 4, 5, 3))
    labels = np.random.default_rng(1).integers(0, 3, (2, 4, 5)).astype(np.uint8)
    labels[0].flat[1:] = VOID
    p = softmax(logits.astype(np.float64))
    expected = [
        -np.log(p[0, 0, 0, labels[0, 0, 0]]),
        -np.log(np.take_along_axis(p[1], labels[1][..., None].astype(int), axis=-1)).mean(),
    ]
    np.testing.assert_allclose(losses.cross_entropy(logits, labels), expected, rtol=1e-5)


def test_cross_entropy_leaves_half_precision_first():
    logits = np.float16(random_logits(0))
    labels = np.random.default_rng(1).integers(0, 6, (3, 4, 5)).astype(np.uint8)
    values = losses.cross_entropy(logits, labels)
    assert values.dtype == "float32"
    np.testing.assert_array_equal(values, losses.cross_entropy(np.float32(logits), labels))


# --- The input's own change (5.4) -------------------------------------------------------------------


def test_input_change_is_a_share_of_the_range_of_colours():
    """255 levels in one of three channels of one of two valid pixels: 1/6. The padding changes more."""
    a, b = np.zeros((2, 1, 3, 3), np.uint8), np.zeros((2, 1, 3, 3), np.uint8)
    b[0, 0, 0, 0] = 255
    b[0, 0, 2] = 255  # in the padding
    valid = np.bool_([[[1, 1, 0]], [[0, 0, 0]]])
    change = losses.input_change(a, b, valid)
    np.testing.assert_allclose(change, [1 / 6, 0], rtol=1e-6)
    np.testing.assert_array_equal(losses.input_change(b, a, valid), change)  # no wrap of uint8
    assert change.dtype == "float32"
