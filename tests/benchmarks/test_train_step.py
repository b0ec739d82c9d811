"""The step that TAF's is compared with does the same."""

import math

import keras
import numpy as np
import pytest
from taf_examples import random_batch, tiny_config

from benchmarks.train_step import NaiveEq6
from taf_keras.models import build
from taf_keras.training.objective import build_objective


def test_naive_taf_is_eq_6(small_backbone):
    """But for batch norm, which sees the passes apart: its statistics stand still here."""
    keras.utils.set_random_seed(0)
    config = tiny_config("deeplabv3plus", weight=3.0, change_rates=(0.0, 0.0, math.inf, 0.0, 0.0))
    network = build.build_model(config.model, 4)
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    batch = random_batch(config, 4, (32, 48), 4, seed=0)
    batch["valid"][:] = True  # as in its own batches
    naive, ours = (make(config, network)(batch) for make in (NaiveEq6, build_objective))
    assert naive.keys() == ours.keys()
    assert np.max(ours["taf"]) > 1e-5
    for name, values in ours.items():
        assert naive[name].numpy() == pytest.approx(values.numpy(), rel=1e-4, abs=1e-7), name
