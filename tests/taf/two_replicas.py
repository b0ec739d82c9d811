"""Script of test_distribution.py: trains and evaluates on one replica and on two, and saves what came out.

A process of its own, because a CPU can only be split into logical devices before TensorFlow starts.
Usage: python two_replicas.py BACKBONE OUTPUT.npz, BACKBONE being mobilenetv2 or pyramid (taf_examples).
What it saves of each case has the names CASE/one/… and CASE/two/…; a case is a model, or mean teacher with
TAF.
"""

import sys
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf
from taf_examples import in_float64, pyramid, random_batch, tiny_config, trainer_of

from taf_keras.clips.clip import ClassTable, Clip, Frame, Split
from taf_keras.config import BRANCHES, PartnerLabelConfig
from taf_keras.models import build
from taf_keras.pipeline.batches import evaluation_batches
from taf_keras.taf.moving_average import MovingAverage
from taf_keras.training.optimizer import CoupledSGD
from taf_keras.training.strategy import distribute

CLASSES, STEPS, KEY_FRAMES, SIZE = 4, 3, 4, (48, 64)
# 5 frames in batches of 4: the last one holds a frame for one replica only.
EVALUATED, EVALUATION_BATCH = 5, 4


def run(model: str, strategy: tf.distribute.Strategy, weights=None, **taf) -> tuple[dict, list]:
    """Returns: what the test compares, and the initial weights."""
    config = replace(tiny_config(model, **taf), partner_labels=PartnerLabelConfig(confidence=0.0))
    with strategy.scope():
        network = in_float64(build.build_model(config.model, CLASSES))
        teacher = None
        if config.taf.method == "mean_teacher":
            teacher = MovingAverage(network, in_float64(build.build_model(config.model, CLASSES)), 0.9)
        trainer = trainer_of(network, config, strategy.num_replicas_in_sync, teacher)
        optimizer, traced = CoupledSGD(0.02, momentum=0.9, l2=1e-2), strategy.num_replicas_in_sync > 1
        trainer.compile(
            optimizer, jit_compile=False, run_eagerly=not traced
        )  # tracing takes most of the time
        trainer.optimizer.build(network.trainable_variables)
    if weights is None:
        weights = network.get_weights()
    network.set_weights(weights)
    if teacher:
        teacher.average.set_weights(weights)

    batches = [random_batch(config, KEY_FRAMES, SIZE, CLASSES, seed=step) for step in range(STEPS)]
    examples = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    dataset = tf.data.Dataset.from_tensor_slices(examples).batch(KEY_FRAMES, drop_remainder=True)
    history = trainer.fit(dataset, epochs=1, verbose=0, shuffle=False).history
    results = {f"fit/{name}": values[-1] for name, values in history.items()}
    for variable, initial in zip(network.weights, weights, strict=True):
        results[f"weights/{variable.path}"] = variable.numpy()
        results[f"moved/{variable.path}"] = variable.numpy() - initial
    if teacher:
        results |= {f"weights/average of {v.path}": v.numpy() for v in teacher.average.weights}

    split = held_out(config)
    batches = distribute(strategy, lambda s: evaluation_batches(split, None, EVALUATION_BATCH, share=s))
    evaluated = trainer.evaluate(batches, verbose=0, return_dict=True)
    results |= {f"evaluate/{name}": value for name, value in evaluated.items()}
    results["counts"] = trainer.confusion.counts.numpy()
    return results, weights


def held_out(config) -> Split:
    frames = random_batch(config, EVALUATED, SIZE, CLASSES, seed=STEPS)
    clips = [
        Clip(str(i), (Frame(0, image, label),), 0)
        for i, (image, label) in enumerate(zip(frames["image"], frames["label"], strict=True))
    ]
    return Split("val", tuple(clips), ClassTable(tuple("abcd"), ((0, 0, 0),) * CLASSES))


if __name__ == "__main__":
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    keras.utils.set_random_seed(0)
    backbone, output = sys.argv[1:]
    if backbone == "pyramid":
        build.build_backbone = pyramid
    one_replica, arrays = tf.distribute.get_strategy(), {}
    # One strategy for both models: TensorFlow tells the sums over replicas apart by a count in it.
    two_replicas = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    cases = {model: (model, {}) for model in BRANCHES}
    cases["mean_teacher"] = ("fcn8s", {"method": "mean_teacher", "weight": 1.0})
    for case, (model, taf) in cases.items():
        one, initial = run(model, one_replica, **taf)
        two, _ = run(model, two_replicas, initial, **taf)
        arrays |= {f"{case}/one/{name}": value for name, value in one.items()}
        arrays |= {f"{case}/two/{name}": value for name, value in two.items()}
    np.savez(output, **arrays)
