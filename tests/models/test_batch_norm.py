"""Batch norm of a part of the batch against its definition and that one's automatic differentiation.

Of both implementations: the one of `keras.ops`, and TensorFlow's with its written-out gradient.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from taf_keras.models import tensorflow_batch_norm
from taf_keras.models.batch_norm import BatchNormalization, normalise_by_first, statistics_of_first

CHANNELS = 5


def fast(layer, x):
    return layer(x, training=True)


either = pytest.mark.parametrize("normalise", [fast, normalise_by_first], ids=["fast", "generic"])


@pytest.fixture
def layer():
    layer = BatchNormalization(momentum=0.9, epsilon=1e-3, synchronized=True, dtype="float64")
    layer.build((None, None, None, CHANNELS))
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(size=CHANNELS) for _ in range(3)] + [rng.uniform(1, 2, CHANNELS)])
    return layer


def random(*shape):
    return tf.constant(np.random.default_rng(1).normal(3.0, 2.0, shape))


def by_definition(x, gamma, beta, share):
    first = x[: len(x) // share]
    mean, variance = tf.reduce_mean(first, (0, 1, 2)), tf.math.reduce_variance(first, (0, 1, 2))
    return gamma * (x - mean) / tf.sqrt(variance + 1e-3) + beta, mean, variance


def test_tensorflow_takes_the_fast_one(layer, monkeypatch):
    calls, original = [], tensorflow_batch_norm.fast_normalise
    monkeypatch.setattr(
        tensorflow_batch_norm, "fast_normalise", lambda *given: calls.append(1) or original(*given)
    )
    layer(random(4, 3, 2, CHANNELS), training=True)
    assert calls == [1]


@either
@pytest.mark.parametrize("share", [1, 2, 4])
def test_equals_its_definition_and_automatic_differentiation(layer, share, normalise):
    x, weights = random(8, 3, 2, CHANNELS), random(8, 3, 2, CHANNELS)
    gamma, beta, old_mean, old_variance = map(tf.constant, layer.get_weights())
    with tf.GradientTape() as tape:
        tape.watch([x, gamma, beta])
        expected, mean, variance = by_definition(x, gamma, beta, share)
        loss = tf.reduce_sum(weights * expected**2)
    expected_gradients = tape.gradient(loss, [x, gamma, beta])
    with tf.GradientTape() as tape, statistics_of_first(share):
        tape.watch(x)
        y = normalise(layer, x)
        loss = tf.reduce_sum(weights * y**2)
    gradients = tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])

    np.testing.assert_allclose(y, expected, rtol=1e-10)
    for actual, wanted in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(layer.moving_mean, 0.9 * old_mean + 0.1 * mean)
    np.testing.assert_allclose(layer.moving_variance, 0.9 * old_variance + 0.1 * variance)


@either
def test_one_pixel_features_have_no_variance(layer, normalise):
    """As `image_pool` has for a single image: x̂ is 0, so that y is β and nothing flows back."""
    x = random(1, 1, 1, CHANNELS)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = normalise(layer, x)
    np.testing.assert_allclose(y[0, 0, 0], layer.beta)
    np.testing.assert_allclose(tape.gradient(y, x), np.zeros(x.shape))


def test_frozen_and_inference_use_the_moving_statistics(layer):
    x = random(4, 3, 2, CHANNELS)
    expected = layer(x, training=False)
    layer.trainable = False
    with statistics_of_first(2):
        np.testing.assert_array_equal(layer(x, training=True), expected)


def test_large_means_do_not_cancel_between_replicas(monkeypatch):
    """Two replicas that see the same: their sums are twice those of one, their moments the same."""
    monkeypatch.setattr(tensorflow_batch_norm, "over_replicas", lambda: lambda value: 2 * value)
    layer = BatchNormalization(momentum=0.0, synchronized=True)
    x = np.random.default_rng(2).normal(1e4, 1.0, (16, 8, 8, 1)).astype(np.float32)
    layer.build(x.shape)
    layer.moving_mean.assign([9_990.0])  # not far off, as after the first steps of a training
    layer(x, training=True)
    np.testing.assert_allclose(layer.moving_mean, [x.astype(np.float64).mean()], rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, [x.astype(np.float64).var()], rtol=1e-3)


@either
def test_large_means_do_not_cancel(normalise):
    """Moments of values around 10 000 with variance 1, in float32; E[x²] − E[x]² would lose them.

    Keras' own sums over replicas do, hence the generic one without.
    """
    layer = BatchNormalization(momentum=0.0, synchronized=normalise is fast)
    x = np.random.default_rng(2).normal(1e4, 1.0, (16, 8, 8, 1)).astype(np.float32)
    layer.build(x.shape)
    normalise(layer, x)
    np.testing.assert_allclose(layer.moving_variance, x.astype(np.float64).var(), rtol=1e-3)


def test_the_layer_that_is_normalised_may_be_keras_own():
    """Without γ and β, and with channels that are not last."""
    layer = keras.layers.BatchNormalization(axis=1, center=False, scale=False, momentum=0.5, epsilon=1e-3)
    x = random(4, CHANNELS, 3, 2)
    layer.build(x.shape)
    with statistics_of_first(2):
        y = normalise_by_first(layer, x)
    last = tf.transpose(x, (0, 2, 3, 1))
    expected, mean, _ = by_definition(last, 1.0, 0.0, 2)
    np.testing.assert_allclose(tf.transpose(y, (0, 2, 3, 1)), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.moving_mean, 0.5 * mean, rtol=1e-6)


@either
def test_half_precision_is_normalised_in_float32(normalise):
    """Values around 300: float16 holds neither their squares nor their mean."""
    layer = BatchNormalization(momentum=0.0, dtype="mixed_float16")
    x = np.random.default_rng(3).normal(300, 4, (8, 4, 4, 1)).astype(np.float16)
    layer.build(x.shape)
    y = normalise(layer, tf.constant(x))
    assert y.dtype == "float16"
    wide = x.astype(np.float64)
    np.testing.assert_allclose(layer.moving_mean, [wide.mean()], rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, [wide.var()], rtol=1e-3)
    assert float(tf.math.reduce_std(tf.cast(y, tf.float32))) == pytest.approx(1, abs=0.01)
