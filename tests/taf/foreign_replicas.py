"""Script of test_foreign_replicas.py: others' networks after a step on one replica and on two.

A process of its own, because a CPU can only be split into logical devices before TensorFlow starts.
Usage: python foreign_replicas.py OUTPUT.npz
"""

import sys

import keras
import numpy as np
import tensorflow as tf
from foreign_networks import CLASSES, FOREIGN, SIZE, Foreign, batch_of, floatx, restore, state_of

from taf_keras import TAF

PAIRS = 4


def without_sums() -> keras.Model:
    """No batch norm, so that replicas never wait for one another within a call."""
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    both = [keras.layers.Conv2D(4, 3, padding="same", name=name)(x) for name in ("slow", "fast")]
    return keras.Model(image, keras.layers.Conv2D(CLASSES, 1)(keras.layers.Concatenate()(both)))


NETWORKS = FOREIGN | {"without sums": Foreign(without_sums, {"slow": 0.0, "fast": 0.0})}


def run(foreign: Foreign, strategy, start=None) -> tuple[dict, list]:
    """Returns: the figures of one step and how far it moved the weights, and the weights before it."""
    with strategy.scope():
        network = foreign.build()
        for layer in network._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True
            elif isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0  # replicas draw masks of their own
        model = TAF(network, foreign.rates, contrast=foreign.contrast, seed=0)
        # Eager, since tracing takes most of the time.
        model.compile(keras.optimizers.SGD(0.1), foreign.loss(), run_eagerly=True)
    start = start or state_of(network)
    restore(network, start)
    x, y = batch_of(foreign, PAIRS)
    history = model.fit(x, y, batch_size=PAIRS, shuffle=False, verbose=0).history
    results = {f"fit/{name}": values[-1] for name, values in history.items()}
    for i, (variable, before) in enumerate(zip(network.variables, start, strict=True)):
        results[f"moved/{i}/{variable.path}"] = keras.ops.convert_to_numpy(variable) - before
    return results, start


def evaluated(strategy) -> np.ndarray:
    """MeanIoU of 6 frames in batches of 4: of the network, by `TAF.evaluate`, and by validation in `fit`."""
    foreign = NETWORKS["without sums"]
    (x, y), miou = batch_of(foreign, 6), []
    with strategy.scope():
        network = foreign.build()
        for model in (network, TAF(network, foreign.rates, seed=0)):
            metric = keras.metrics.MeanIoU(CLASSES, sparse_y_pred=False, name="miou")
            model.compile(keras.optimizers.SGD(0.0), foreign.loss(), metrics=[metric], run_eagerly=True)
            miou.append(model.evaluate(x["image"], y, batch_size=4, verbose=0, return_dict=True)["miou"])
    options = {"validation_data": (x["image"], y), "validation_batch_size": 4, "batch_size": 6, "verbose": 0}
    return np.array([*miou, model.fit(x, y, **options).history["val_miou"][0]])


if __name__ == "__main__":
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    one_replica = tf.distribute.get_strategy()
    # One strategy for all networks: TensorFlow tells the sums over replicas apart by a count in it.
    two_replicas = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    keras.utils.set_random_seed(0)
    arrays = {"evaluated": evaluated(two_replicas)}
    for name, foreign in NETWORKS.items():
        if not foreign.installed:
            continue
        # keras-cv's head is float32 always, and TensorFlow adds up gradients of one type.
        with floatx("float32" if foreign.package == "keras_cv" else "float64"):
            keras.utils.set_random_seed(0)
            one, initial = run(foreign, one_replica)
            two, _ = run(foreign, two_replicas, initial)
            # By position: Keras numbers the names of variables on and on.
            for (what, first), second in zip(one.items(), two.values(), strict=True):
                arrays[f"{name}/{what}"] = np.stack([first, second])
            keras.backend.clear_session()
    np.savez(sys.argv[1], **arrays)
