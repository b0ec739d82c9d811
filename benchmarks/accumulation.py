"""Peak memory and time of a training step that is cut into small batches.

    python -m benchmarks.accumulation --parts=1
    python -m benchmarks.accumulation --parts=4

One process for each number of parts, since memory is that of the process: DeepLabV3+ on MobileNetV2, TAF on
random pairs, on the CPU.
"""

from __future__ import annotations

import argparse
import os
import resource
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from taf_keras.config import Config, ModelConfig, TrainingConfig
from taf_keras.evaluation.confusion import ConfusionMatrix
from taf_keras.models.build import build_model
from taf_keras.taf.trainer import TAFTrainer
from taf_keras.training.optimizer import build_optimizer

STEPS = 3


def random_batch(pairs: int, side: int, classes: int) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, pairs, side, side, 3), np.uint8)
    batch = {
        "image": frames[0],
        "partner": frames[1],
        "label": rng.integers(0, classes, (pairs, side, side)).astype(np.uint8),
        "valid": np.ones((pairs, side, side), bool),
        "offset_frames": rng.integers(1, 6, pairs).astype(np.int32),
        "key_branch": rng.integers(0, 5, pairs).astype(np.int32),
        "partner_branch": rng.integers(0, 5, pairs).astype(np.int32),
    }
    return {name: tf.constant(values) for name, values in batch.items()}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", type=int, default=1, help="small batches of a step (%(default)s)")
    parser.add_argument("--pairs", type=int, default=16, help="key frames of a step (%(default)s)")
    parser.add_argument("--side", type=int, default=384, help="height and width, px (%(default)s)")
    options = parser.parse_args()
    training = TrainingConfig(batch_size=2 * options.pairs, gradient_accumulation_steps=options.parts)
    config = Config(model=ModelConfig(backbone_width=0.35, head_channels=32), training=training)
    trainer = TAFTrainer(build_model(config.model, 8), config, ConfusionMatrix("abcdefgh"))
    trainer.compile(build_optimizer(training, 10), jit_compile=False)
    trainer.optimizer.build(trainer.network.trainable_variables)
    batch = random_batch(options.pairs, options.side, classes=8)

    began = time.perf_counter()
    step = tf.function(trainer.train_step).get_concrete_function(batch)
    traced, before = time.perf_counter() - began, peak_mb()
    step(batch)
    seconds = []
    for _ in range(STEPS):
        began = time.perf_counter()
        float(step(batch)["loss"])
        seconds.append(time.perf_counter() - began)
    print(
        f"{options.parts} parts: peak {peak_mb():.0f} MB, {before:.0f} MB before the first step; "
        f"fastest step {min(seconds):.2f} s; traced in {traced:.1f} s"
    )


if __name__ == "__main__":
    main()
