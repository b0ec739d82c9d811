"""Checkpoints of versions before 0.2, whose network was three models in one."""

import keras
import numpy as np
import pytest

from taf_keras.config import BRANCHES, ModelConfig
from taf_keras.errors import UserError
from taf_keras.evaluation.confusion import ConfusionMatrix
from taf_keras.models.build import build_model
from taf_keras.storage import checkpoint
from taf_keras.taf.objectives import KeyFrames
from taf_keras.taf.trainer import TAFTrainer
from taf_keras.training.optimizer import CoupledSGD

pytestmark = pytest.mark.usefixtures("small_backbone")
# Where Ω began.
FEATURES = [f"{name}_relu" for name in (*BRANCHES["deeplabv3plus"], "low_level")]


def in_three_parts(network: keras.Model) -> keras.Model:
    """The same layers and weights as encoder, projection and head."""
    features = [network.get_layer(name).output for name in FEATURES]
    terms = [network.get_layer(layer).output for layer in BRANCHES["deeplabv3plus"].values()]
    terms.append(features[-1])
    encoder = keras.Model(network.input, features, name="encoder")
    inputs = [keras.Input(x.shape[1:]) for x in features]
    layers = map(network.get_layer, BRANCHES["deeplabv3plus"].values())
    projected = [layer(x) for layer, x in zip(layers, inputs[:-1], strict=True)]
    projection = keras.Model(inputs, [*projected, inputs[-1]], name="projection")
    head = keras.Model(terms, network.get_layer("logits").output, name="head")
    image = keras.Input((None, None, 3))
    return keras.Model(image, head(projection(encoder(image))), name=network.name)


@pytest.fixture(scope="module")
def small():
    config = ModelConfig("deeplabv3plus", backbone_width=0.35, head_channels=8)
    keras.utils.set_random_seed(0)
    return build_model(config, 3), config


def trainer_of(network):
    return TAFTrainer(KeyFrames(network), ConfusionMatrix("abc"))


def test_the_weights_are_found_by_their_layers_names(small, tmp_path):
    network, config = small
    old = trainer_of(in_three_parts(network))
    path = checkpoint.save(old, tmp_path, 7, {"sum": np.float32([2.0])}, checkpoint.Best(5, 0.5))
    keras.utils.set_random_seed(1)
    new = build_model(config, 3)
    frames = np.random.default_rng(0).uniform(0, 255, (1, 32, 48, 3)).astype(np.float32)
    expected = network(frames).numpy()
    assert not np.array_equal(new(frames), expected)
    sums = checkpoint.load(trainer_of(new), path)
    np.testing.assert_array_equal(new(frames), expected)
    assert sums == {"sum": np.float32([2.0])}
    assert checkpoint.best_until(path) == checkpoint.Best(5, 0.5)


def test_a_training_does_not_go_on_with_them(small, tmp_path):
    network, _ = small
    path = checkpoint.save(trainer_of(in_three_parts(network)), tmp_path, 7, {})
    trainer = trainer_of(network)
    trainer.compile(CoupledSGD(0.1))
    with pytest.raises(
        UserError, match=r"step-00000007.*: written by a version before 0.2, .* another --model_dir"
    ):
        checkpoint.load(trainer, path)


def test_another_model_is_refused(small, tmp_path):
    network, _ = small
    path = checkpoint.save(trainer_of(in_three_parts(network)), tmp_path, 7, {})
    other = build_model(ModelConfig("fcn8s", backbone_width=0.35), 3)
    with pytest.raises(UserError, match="not a checkpoint of this model, or damaged: Layer"):
        checkpoint.load(trainer_of(other), path)
