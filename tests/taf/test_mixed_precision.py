"""Half precision: the network computes in it; softmax, losses, δ, gradients and weights stay float32."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from taf_examples import halves, random_batch, tiny_config, trainer_of

from taf_keras.config import BRANCHES, Config
from taf_keras.models import build
from taf_keras.taf.trainer import TAFTrainer
from taf_keras.training.optimizer import build_optimizer

CLASSES, SIZE = 4, (32, 48)
POLICIES = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}


@pytest.fixture(params=POLICIES)
def policy(request, small_backbone):
    keras.utils.set_random_seed(0)
    with build.dtype_policy(request.param):
        yield request.param


def build_trainer(model: str, policy: str, steps: int = 10) -> tuple[TAFTrainer, Config]:
    config = tiny_config(model)
    settings = {"dtype": policy, "batch_size": 8, "learning_rate": 0.1, "warmup_steps": 0}
    config = replace(config, training=replace(config.training, **settings))
    trainer = trainer_of(build.build_model(config.model, CLASSES), config)
    trainer.compile(build_optimizer(config.training, steps), jit_compile=False)
    trainer.optimizer.build(trainer.network.trainable_variables)
    return trainer, config


@pytest.mark.parametrize("model", BRANCHES)
def test_the_objective_stays_float32_and_equal_frames_are_at_exactly_zero(model, policy):
    """In training mode, traced: n = 0 in the first example, equal frames at n ≠ 0 in the second."""
    trainer, config = build_trainer(model, policy)
    batch = random_batch(config, 4, SIZE, CLASSES, seed=0)
    batch["partner"][1] = batch["image"][1]
    batch["offset_frames"][1:] = 4
    _, features, _ = halves(trainer.network)
    swapped = [trainer.network.get_layer(layer).output for layer in config.branch_layers.values()]
    assert {x.dtype for x in features.output + swapped} == {POLICIES[policy]}
    values = tf.function(trainer.objective)(batch)
    names = ("cross_entropy", "taf", "loss", "delta", "slack")
    assert {values[name].dtype for name in names} == {tf.float32}
    same = np.tile([True, True, False, False], 2)
    delta = values["delta"].numpy()
    assert (delta[same] == 0.0).all()
    assert (delta[~same] > 0).any()
    assert (values["taf"].numpy()[:2] == 0.0).all()


@pytest.mark.parametrize("model", BRANCHES)
def test_both_models_learn_in_half_precision(model, policy):
    """Twenty steps on one batch; weights and what the optimizer keeps are float32."""
    trainer, config = build_trainer(model, policy, steps=20)
    batch = random_batch(config, 4, SIZE, CLASSES, seed=1)
    batch["label"][batch["valid"]] = 2  # easily learnt
    step = tf.function(trainer.train_step)
    losses = []
    for _ in range(20):
        trainer.reset_metrics()
        losses.append(float(step(batch)["loss"]))
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.5 * losses[0]
    assert {v.dtype for v in trainer.network.variables} == {"float32"}
    inner = getattr(trainer.optimizer, "inner_optimizer", trainer.optimizer)
    assert {v.dtype for v in inner.variables if len(v.shape)} == {"float32"}


def test_float16_is_trained_with_a_loss_scale(policy):
    """A gradient that overflows is left out, and the scale halved: weights and the schedule stand still."""
    trainer, config = build_trainer("fcn8s", policy)
    optimizer = trainer.optimizer
    if policy != "mixed_float16":
        assert not isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        return
    assert not isinstance(optimizer.inner_optimizer, keras.optimizers.LossScaleOptimizer)
    batch = random_batch(config, 4, SIZE, CLASSES, seed=1)
    before = [v.numpy() for v in trainer.network.trainable_variables]
    optimizer.dynamic_scale.assign(1e38)
    trainer.train_step(batch)
    assert float(optimizer.dynamic_scale) == pytest.approx(0.5e38)
    assert int(optimizer.iterations) == 0
    for variable, value in zip(trainer.network.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    optimizer.dynamic_scale.assign(2.0**10)
    trainer.train_step(batch)
    assert int(optimizer.iterations) == 1
    after = [v.numpy() for v in trainer.network.trainable_variables]
    assert any(np.any(a != b) for a, b in zip(after, before, strict=True))
