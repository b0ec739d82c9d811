"""Script of test_distribution.py: trains and evaluates on one replica and on two, and saves what came out.

A process of its own, because a CPU can only be split into logical devices before TensorFlow starts.
Usage: python two_replicas.py MODEL OUTPUT.npz
"""

import sys

import numpy as np
import tensorflow as tf
from examples import random_batch, tiny_config

from taf_keras.evaluation.confusion import ConfusionMatrix
from taf_keras.models.build import build_model
from taf_keras.taf.trainer import TAFTrainer
from taf_keras.training.optimizer import CoupledSGD

CLASSES, STEPS, KEY_FRAMES, SIZE = 4, 3, 4, (48, 64)
EVALUATED, EVALUATION_BATCH = 5, 4  # the last batch has one frame: none for the second replica


def run(model: str, devices: int, weights=None) -> tuple[dict, list]:
    """Returns what the test compares, and the initial weights."""
    config = tiny_config(model, weight=1.0)
    strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(devices)]) if devices > 1 else None
    with strategy.scope() if strategy else tf.device("CPU:0"):
        network = build_model(config.model, CLASSES)
        trainer = TAFTrainer(network, config, ConfusionMatrix("abcd"), replicas=devices)
        trainer.compile(optimizer=CoupledSGD(0.02, momentum=0.9, l2=1e-2))
    initial = network.get_weights()
    if weights is not None:
        network.set_weights(weights)

    batches = [random_batch(config, KEY_FRAMES, SIZE, CLASSES, seed=step) for step in range(STEPS)]
    examples = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    dataset = tf.data.Dataset.from_tensor_slices(examples).batch(KEY_FRAMES, drop_remainder=True)
    history = trainer.fit(dataset, epochs=1, verbose=0).history
    trained = network.get_weights()

    held_out = random_batch(config, EVALUATED, SIZE, CLASSES, seed=STEPS)
    frames = {name: held_out[name] for name in ("image", "label")}
    dataset = tf.data.Dataset.from_tensor_slices(frames).batch(EVALUATION_BATCH)
    evaluated = trainer.evaluate(dataset, verbose=0, return_dict=True)

    results = {f"weight/{i:03d}": value for i, value in enumerate(trained)}
    results |= {
        f"moved/{i:03d}": new - old
        for i, (new, old) in enumerate(zip(trained, network_start(initial, weights), strict=True))
    }
    results |= {f"fit/{name}": values[-1] for name, values in history.items()}
    results |= {f"evaluate/{name}": value for name, value in evaluated.items()}
    results["confusion"] = trainer.confusion.counts.numpy()
    return results, initial


def network_start(initial, weights):
    return initial if weights is None else weights


if __name__ == "__main__":
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    model, output = sys.argv[1:]
    one, initial = run(model, devices=1)
    two, _ = run(model, devices=2, weights=initial)
    arrays = {f"one/{name}": value for name, value in one.items()}
    arrays |= {f"two/{name}": value for name, value in two.items()}
    np.savez(output, **arrays)
