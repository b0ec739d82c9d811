import colorsys

import numpy as np
import pytest
import tensorflow as tf

from taf_keras.pipeline.color_jitter import ColorJitter
from taf_keras.pipeline.pairing import BRIGHTNESS, CONTRAST, SATURATION, Place, sample_jitter


def images() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 190, (2, 6, 8, 3), np.uint8)


def jittered(images, *factors) -> np.ndarray:
    return ColorJitter()(tf.constant(images), tf.constant(np.float32([factors] * len(images)))).numpy()


def test_neutral_factors_change_nothing():
    np.testing.assert_array_equal(jittered(images(), 0, 1, 1), images())


def test_brightness_is_a_shift_that_clips():
    np.testing.assert_allclose(jittered(images(), 0.1, 1, 1), images() + 25.5, atol=0.51)
    assert jittered(np.full((1, 2, 2, 3), 250, np.uint8), 0.25, 1, 1).max() == 255


def test_contrast_stretches_about_the_mean_of_each_channel():
    x = images().astype(float)
    mean = x.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(jittered(images(), 0, 0.6, 1), mean + 0.6 * (x - mean), atol=0.51)


@pytest.mark.parametrize("factor", [0.6, 1.3])
def test_saturation_scales_that_of_hsv(factor):
    """Against the standard library's HSV."""
    expected = []
    for pixel in images().reshape(-1, 3) / 255:
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
        expected.append(colorsys.hsv_to_rgb(hue, min(1, saturation * factor), value))
    expected = 255 * np.reshape(expected, images().shape)
    np.testing.assert_allclose(jittered(images(), 0, 1, factor), expected, atol=0.6)


def test_samples_are_functions_of_their_key_and_fill_their_ranges():
    samples = np.array([sample_jitter(Place(0, epoch, 1, 0)) for epoch in range(400)])
    np.testing.assert_array_equal(samples[7], sample_jitter(Place(0, 7, 1, 0)))
    assert len(np.unique(samples[:, 0])) == 400
    for column, centre, reach in zip(samples.T, (0, 1, 1), (BRIGHTNESS, CONTRAST, SATURATION), strict=True):
        assert np.abs(column - centre).max() <= reach
        assert column.min() < centre - 0.95 * reach
        assert column.max() > centre + 0.95 * reach
