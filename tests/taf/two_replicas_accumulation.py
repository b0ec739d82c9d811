"""Script of test_accumulation.py: what needs two replicas, in a process that splits the CPU first.

Usage: python two_replicas_accumulation.py OUTPUT.npz. It saves the weights after three updates, `whole/NAME`
of one replica and `parts/NAME` of two that cut their shares in two, and `overflow/REPLICA`, a weight of 1
behind an update whose gradient overflowed on that replica.
"""

import sys

import keras
import numpy as np
import tensorflow as tf
from taf_examples import pyramid, random_batch, trainer_of
from test_accumulation import CLASSES, EXAMPLES, SIZE, STEPS, config_of, frozen

from taf_keras.models import build
from taf_keras.training.optimizer import LossScale, build_optimizer


def train(strategy, parts: int, weights=None) -> tuple[keras.Model, list]:
    config = config_of("fcn8s", parts)
    with strategy.scope():
        network = frozen(build.build_model(config.model, CLASSES))
        trainer = trainer_of(network, config, strategy.num_replicas_in_sync)
        optimizer, traced = build_optimizer(config.training, STEPS + 1), parts > 1
        trainer.compile(
            optimizer, jit_compile=False, run_eagerly=not traced
        )  # tracing takes most of the time
        trainer.optimizer.build(network.trainable_variables)
    weights = weights or network.get_weights()
    network.set_weights(weights)
    batches = [random_batch(config, EXAMPLES, SIZE, CLASSES, seed) for seed in range(STEPS)]
    examples = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    dataset = tf.data.Dataset.from_tensor_slices(examples).batch(EXAMPLES, drop_remainder=True)
    trainer.fit(dataset, verbose=0, shuffle=False)
    return network, weights


def overflow_on(replica: int, strategy) -> np.ndarray:
    with strategy.scope():
        weight = keras.Variable(np.float32([1.0]))
        optimizer = LossScale(keras.optimizers.SGD(0.1))
        optimizer.build([weight])

    @tf.function
    def update():
        own = tf.distribute.get_replica_context().replica_id_in_sync_group
        gradient = tf.where(tf.equal(own, replica), np.inf, 1.0) * tf.ones(1)
        optimizer.apply_gradients([(gradient, weight)])

    strategy.run(update)
    return weight.numpy()


if __name__ == "__main__":
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    keras.utils.set_random_seed(0)
    build.build_backbone = pyramid
    both = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    whole, start = train(tf.distribute.get_strategy(), parts=1)
    parts, _ = train(both, parts=2, weights=start)
    arrays = {f"overflow/{replica}": overflow_on(replica, both) for replica in (0, 1)}
    for name, network in (("whole", whole), ("parts", parts)):
        arrays |= {f"{name}/{variable.path}": variable.numpy() for variable in network.weights}
    np.savez(sys.argv[1], **arrays)
