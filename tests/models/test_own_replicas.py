"""A model of the user's own with Keras' batch norm, on one replica or two: the same weights."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from taf_keras.config import ModelConfig
from taf_keras.models.build import build_model

SCRIPT = Path(__file__).with_name("own_replicas.py")
SOURCE = """
import keras


def normed(classes):
    image = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, strides=2, padding="same")(x))
    fine = keras.layers.Conv2D(4, 3, padding="same", name="fine")(x)
    inner = keras.Sequential([keras.layers.Conv2D(4, 5, padding="same"), keras.layers.BatchNormalization()])
    coarse = keras.layers.ReLU(name="coarse")(inner(x))
    x = keras.layers.Concatenate()([fine, coarse])
    return keras.Model(image, keras.layers.Conv2D(classes, 1)(x))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("own") / "nets.py"
    path.write_text(SOURCE)
    return f"{path}:normed"


def test_two_replicas_make_the_update_of_one(model, tmp_path):
    root = SCRIPT.parents[2]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, (root, root / "tests" / "taf"))),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
    }
    output = tmp_path / "outcomes.npz"
    command = [sys.executable, str(SCRIPT), model, str(output)]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    outcomes = dict(np.load(output))
    for name, (one, two, _) in outcomes.items():
        np.testing.assert_allclose(two, one, rtol=1e-6, atol=1e-6, err_msg=name)
    for method in ("baseline", "taf"):
        moved = [np.abs(one - start).max() for name, (one, _, start) in outcomes.items() if method in name]
        assert len(moved) > 8
        assert max(moved) > 0.01, "weights that stand still agree by themselves"


def test_batch_norm_is_synchronised_under_several_replicas_alone(model, monkeypatch):
    """One replica keeps Keras' own statistics."""

    def synchronised() -> set[bool]:
        layers = build_model(ModelConfig(model), 4)._flatten_layers()
        return {layer.synchronized for layer in layers if isinstance(layer, keras.layers.BatchNormalization)}

    assert synchronised() == {False}
    several = type("Several", (), {"num_replicas_in_sync": 2})
    monkeypatch.setattr(tf.distribute, "get_strategy", several)
    assert synchronised() == {True}
