import numpy as np
import pytest
import tensorflow as tf

from taf_keras.config import ModelConfig
from taf_keras.evaluation.evaluate import network_predictor
from taf_keras.evaluation.studies.branches import BranchedNetwork
from taf_keras.models.build import build_model


@pytest.fixture(scope="module", params=["fcn8s", "deeplabv3plus"])
def cut(request):
    """(whole network, the same in two halves, images whose size is no multiple of the stride)."""
    config = ModelConfig(model=request.param, backbone_width=0.35, head_channels=8, batch_norm_momentum=0.0)
    network = build_model(config, 4)
    images = np.random.default_rng(0).integers(0, 256, (3, 50, 70, 3)).astype(np.uint8)
    network(images.astype(np.float32), training=True)  # statistics that let features vary
    return network, BranchedNetwork(network, config.branches), images


def test_the_halves_together_are_exactly_the_whole(cut):
    network, halves, images = cut
    size = images.shape[1:3]
    whole = tf.function(network)(tf.cast(images, tf.float32), training=False)
    assert np.ptp(whole, axis=(1, 2)).min() > 0
    np.testing.assert_array_equal(halves.logits(halves.features(images), size), whole)
    np.testing.assert_array_equal(halves.predict_images(images), network_predictor(network)(images))


def test_every_branch_is_among_the_features_and_acts_on_the_logits(cut):
    _, halves, images = cut
    features, size = halves.features(images), images.shape[1:3]
    logits = halves.logits(features, size)
    for branch in halves.branches:
        changed = features | {branch: features[branch] + 1}
        assert np.abs(halves.logits(changed, size) - logits).max() > 0, branch
