"""Small batches whose gradients are added up: the update of the large batch."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from taf_examples import in_float64, random_batch, tiny_config, trainer_of

from taf_keras.config import Config
from taf_keras.errors import UserError
from taf_keras.models.build import build_model
from taf_keras.taf.trainer import TAFTrainer
from taf_keras.training.optimizer import build_optimizer

pytestmark = pytest.mark.usefixtures("small_backbone")
CLASSES, SIZE, EXAMPLES, STEPS = 4, (32, 48), 4, 3


def config_of(model: str, parts: int, method: str = "taf", **training) -> Config:
    rates = {} if method == "taf" else {"change_rates": None}
    config = tiny_config(model, method=method, **rates)
    settings = {"batch_size": 2 * EXAMPLES, "learning_rate": 2.0, "weight_decay": 1e-2, "warmup_steps": 2}
    settings |= {"gradient_accumulation_steps": parts} | training
    if method == "baseline":
        settings["batch_size"] = EXAMPLES
    return replace(config, training=replace(config.training, **settings))


def frozen(network: keras.Model) -> keras.Model:
    """In float64, with batch norm that is an affine map: its statistics are what small batches change."""
    network = in_float64(network)
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return network


def trained(network, weights, config) -> tuple[list, dict, TAFTrainer]:
    """Weights and last figures after STEPS steps from `weights`: of parts in a graph, as `fit` runs it."""
    network.set_weights(weights)
    trainer = trainer_of(network, config)
    trainer.compile(optimizer=build_optimizer(config.training, STEPS + 1), jit_compile=False)
    trainer.optimizer.build(network.trainable_variables)
    step = tf.function(trainer.train_step) if trainer.gradient_accumulation_steps > 1 else trainer.train_step
    for seed in range(STEPS):
        figures = step(random_batch(config, EXAMPLES, SIZE, CLASSES, seed))
    return network.get_weights(), {name: float(value) for name, value in figures.items()}, trainer


@pytest.mark.parametrize(
    ("model", "method", "parts"),
    [("deeplabv3plus", "taf", 2), ("fcn8s", "baseline", 4)],
)
def test_the_update_is_that_of_the_large_batch(model, method, parts):
    """Three steps of momentum, coupled weight decay, warm-up and decay; the figures are the batch's too."""
    keras.utils.set_random_seed(0)
    network = frozen(build_model(tiny_config(model).model, CLASSES))
    start = network.get_weights()
    whole, figures, trainer = trained(network, start, config_of(model, 1, method))
    farthest = max(np.abs(a - b).max() for a, b in zip(whole, start, strict=True))
    assert farthest > 0.01
    weights, own, accumulating = trained(network, start, config_of(model, parts, method))
    for a, b in zip(weights, whole, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 * farthest)
    assert own == pytest.approx(figures, rel=1e-4, abs=1e-6)
    assert int(accumulating.optimizer.iterations) == int(trainer.optimizer.iterations) == STEPS


def test_batch_norm_has_the_statistics_of_each_small_batch():
    """The documented exception: moving statistics move once per small batch, here twice a step."""
    keras.utils.set_random_seed(0)
    config = config_of("fcn8s", 2)
    network = build_model(config.model, CLASSES)
    start = network.get_weights()
    trainer = trainer_of(network, config)
    batch = random_batch(config, EXAMPLES, SIZE, CLASSES, seed=0)
    for part in trainer._small_batches(batch):
        trainer.objective(part)
    expected = [v.numpy() for v in network.non_trainable_variables]
    network.set_weights(start)
    trainer.compile(optimizer=build_optimizer(config.training, 4), jit_compile=False)
    trainer.train_step(batch)
    for variable, value in zip(network.non_trainable_variables, expected, strict=True):
        np.testing.assert_allclose(variable, value, rtol=1e-4, atol=1e-5, err_msg=variable.path)


def test_the_small_batches_are_the_batch_in_its_order():
    config = config_of("fcn8s", 2)
    batch = random_batch(config, EXAMPLES, SIZE, CLASSES, seed=0)
    network = build_model(config.model, CLASSES)
    parts = trainer_of(network, config)._small_batches(batch)
    assert [part.keys() for part in parts] == [batch.keys()] * 2
    for name, values in batch.items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), values)


@pytest.mark.parametrize(
    ("parts", "replicas", "own"), [(3, 1, 4), (8, 1, 4), (4, 2, 2)], ids=["uneven", "too many", "replicas"]
)
def test_parts_that_are_not_equal_are_refused(parts, replicas, own):
    message = (
        f"--gradient_accumulation_steps={parts}: the {own} key frames that a device has in a step "
        "cannot be cut into so many equal parts"
    )
    with pytest.raises(UserError, match=f"^{message}$"):
        config_of("fcn8s", parts).check_accumulation(replicas)


@pytest.fixture(scope="module")
def on_two_replicas(tmp_path_factory):
    """{name: array} of two_replicas_accumulation.py."""
    output = tmp_path_factory.mktemp("replicas") / "outcome.npz"
    script = Path(__file__).with_name("two_replicas_accumulation.py")
    root = script.parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, script, output], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return dict(np.load(output))


def test_each_replica_accumulates_its_own_share(on_two_replicas):
    names = [name for name in on_two_replicas if name.startswith("whole/")]
    assert len(names) > 20
    for name in names:
        parts = on_two_replicas[name.replace("whole/", "parts/")]
        np.testing.assert_allclose(parts, on_two_replicas[name], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("replica", [0, 1])
def test_an_overflow_on_any_replica_stops_the_update_of_all(on_two_replicas, replica):
    """float16: Keras by itself looks at the first replica alone, and the weight becomes −inf."""
    assert on_two_replicas[f"overflow/{replica}"] == [1.0]
