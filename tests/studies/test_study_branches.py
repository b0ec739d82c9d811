import keras
import numpy as np
import pytest
import tensorflow as tf

from taf_keras.config import BRANCHES, ModelConfig
from taf_keras.evaluation.branches import BranchedNetwork
from taf_keras.evaluation.compiled import for_any_batch
from taf_keras.evaluation.evaluate import network_predictor
from taf_keras.models.build import build_model


@pytest.fixture(scope="module", params=["fcn8s", "deeplabv3plus"])
def cut(request):
    """(whole network, the same in two halves, images whose size is no multiple of the stride)."""
    config = ModelConfig(model=request.param, backbone_width=0.35, head_channels=8, batch_norm_momentum=0.0)
    network = build_model(config, 4)
    images = np.random.default_rng(0).integers(0, 256, (3, 50, 70, 3)).astype(np.uint8)
    network(images.astype(np.float32), training=True)  # statistics that let features vary
    return network, BranchedNetwork(network, BRANCHES[request.param]), images


def test_the_halves_together_are_exactly_the_whole(cut):
    network, halves, images = cut
    whole = for_any_batch(lambda frames: network(tf.cast(frames, tf.float32), training=False))(images)
    assert np.ptp(whole, axis=(1, 2)).min() > 0
    np.testing.assert_array_equal(halves.logits(halves.features(images)), whole)
    np.testing.assert_array_equal(halves.predict_images(images), network_predictor(network)(images))


def test_every_branch_is_among_the_features_and_acts_on_the_logits(cut):
    _, halves, images = cut
    features = halves.features(images)
    logits = halves.logits(features)
    assert logits.shape == (*images.shape[:3], 4)
    assert set(halves.branches) < set(features)
    for branch in halves.branches:
        changed = features | {branch: features[branch] + 1}
        assert np.abs(halves.logits(changed) - logits).max() > 0, branch


def test_a_study_may_change_one_branch_alone(cut):
    """The others are cut all the same: what it changes is what was swapped in training."""
    network, halves, images = cut
    layers = BRANCHES[network.name]
    name = list(layers)[1]
    one = BranchedNetwork(network, layers, name)
    assert one.branches == (name,)
    assert halves.branches == tuple(layers)
    assert set(one.features(images)) == set(halves.features(images))


def test_a_network_without_branches_predicts():
    """As of a baseline of a model of the user's own, which names none."""
    image = keras.Input((None, None, 3))
    network = keras.Model(image, keras.layers.Conv2D(2, 1, kernel_initializer="ones")(image))
    images = np.zeros((1, 4, 6, 3), np.uint8)
    predicted = BranchedNetwork(network, {}).predict_images(images)
    np.testing.assert_array_equal(predicted, np.zeros((1, 4, 6)))
