"""Script of test_own_replicas.py: a model of the user's own after a step on one replica and on two.

A process of its own, because a CPU can only be split into logical devices before TensorFlow starts.
Usage: python own_replicas.py FILE.py:FUNCTION OUTPUT.npz
"""

import sys

import keras
import numpy as np
import tensorflow as tf
from taf_examples import in_float64, random_batch, trainer_of

from taf_keras.config import Config, ModelConfig, TAFConfig
from taf_keras.models.build import build_model

CLASSES, KEY_FRAMES, SIZE = 4, 4, (32, 48)
METHODS = {"baseline": TAFConfig("baseline"), "taf": TAFConfig("taf", 1.0, (("coarse", 0.0), ("fine", 1e-4)))}


def run(config: Config, strategy: tf.distribute.Strategy, weights=None) -> tuple[list, list]:
    """Returns: the network's variables after the step, and before it."""
    with strategy.scope():
        network = in_float64(build_model(config.model, CLASSES))
        trainer = trainer_of(network, config, strategy.num_replicas_in_sync)
        trainer.compile(keras.optimizers.SGD(0.1), jit_compile=False, run_eagerly=True)
        trainer.optimizer.build(network.trainable_variables)
    weights = weights or network.get_weights()
    network.set_weights(weights)
    batch = random_batch(config, KEY_FRAMES, SIZE, CLASSES, seed=0)
    dataset = tf.data.Dataset.from_tensor_slices(batch).batch(KEY_FRAMES, drop_remainder=True)
    trainer.fit(dataset, epochs=1, verbose=0, shuffle=False)
    return network.get_weights(), weights


if __name__ == "__main__":
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    keras.utils.set_random_seed(0)
    model, output = sys.argv[1:]
    one_replica, arrays = tf.distribute.get_strategy(), {}
    # One strategy for both methods: TensorFlow tells the sums over replicas apart by a count in it.
    two_replicas = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    for method, taf in METHODS.items():
        config = Config(model=ModelConfig(model), taf=taf)
        one, initial = run(config, one_replica)
        two, _ = run(config, two_replicas, initial)
        for i, values in enumerate(zip(one, two, initial, strict=True)):
            arrays[f"{method}/{i}"] = np.stack(values)
    np.savez(output, **arrays)
