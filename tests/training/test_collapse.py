import keras
import numpy as np
import pytest
from taf_examples import halves

from taf_keras.clips.clip import ClassTable, Clip, Frame, Split
from taf_keras.config import BRANCHES, ModelConfig
from taf_keras.models.build import build_model
from taf_keras.training.collapse import WatchBranches

pytestmark = pytest.mark.usefixtures("small_backbone")
LAYERS = BRANCHES["fcn8s"]


@pytest.fixture(scope="module")
def split():
    rng = np.random.default_rng(0)
    frames = [Frame(0, rng.integers(0, 256, (64, 96, 3), np.uint8)) for _ in range(3)]
    clips = tuple(Clip(str(i), (frame,), 0) for i, frame in enumerate(frames))
    return Split("val", clips, ClassTable(("a", "b"), ((0, 0, 0),) * 2))


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    config = ModelConfig("fcn8s", "mobilenetv2", backbone_width=0.35, output_stride=32)
    network = build_model(config, 2)
    rng = np.random.default_rng(1)
    names, encoder, _ = halves(network)
    features = encoder(rng.uniform(0, 255, (1, 64, 96, 3)))
    for branch, x in zip(names, features, strict=True):
        layer = network.get_layer(LAYERS[branch])
        # Features of random weights shrink from level to level: scores of one size.
        layer.kernel.assign(rng.normal(size=layer.kernel.shape) / np.std(x))
    return network


def test_a_branch_that_the_head_ignores_is_named_once_and_again_when_it_is_back(network, split, capsys):
    """FCN8s adds its scores: with a kernel of zeros a branch cannot change anything."""
    watch = WatchBranches(network, LAYERS, split, None)
    layer = network.get_layer("stride16_score")
    kernel = layer.kernel.numpy()
    shares = watch.changed_shares()
    assert shares["stride16"] > 0.01

    layer.kernel.assign(np.zeros_like(kernel))
    for epoch in range(2):
        logs = {"val_miou": 0.5}
        watch.on_epoch_end(epoch, logs)
        assert logs["changed_by_mean/stride16"] == 0.0
    written = capsys.readouterr().out
    assert written.count("epoch 1: branch stride16 may have collapsed") == 1
    assert "epoch 2: branch stride16" not in written

    layer.kernel.assign(kernel)
    watch.on_epoch_end(2, {"val_miou": 0.5})
    assert "epoch 3: branch stride16 is back" in capsys.readouterr().out


def test_the_share_is_that_of_changed_pixels(network, split):
    """One branch done by hand: Ω is a sum, so that its mean score replaces its scores."""
    watch = WatchBranches(network, {"stride8": LAYERS["stride8"]}, split, None)
    images = np.concatenate(watch.images).astype(np.float32)
    names, encoder, head = halves(network)
    features = dict(zip(names, encoder(images), strict=True))
    mean = np.mean(features["stride8"], axis=(0, 1, 2))
    flat = features | {"stride8": keras.ops.broadcast_to(mean, features["stride8"].shape)}

    def classes(features):
        logits = head(list(features.values()))
        return np.argmax(keras.ops.image.resize(logits, (64, 96), antialias=False), axis=-1)

    assert list(flat) == names
    expected = np.mean(classes(flat) != classes(features))
    assert watch.changed_shares()["stride8"] == pytest.approx(expected, abs=0.002)
    assert expected > 0.01


def test_epochs_without_validation_are_left_alone(network, split):
    logs = {"loss": 1.0}
    WatchBranches(network, LAYERS, split, None).on_epoch_end(0, logs)
    assert logs == {"loss": 1.0}
