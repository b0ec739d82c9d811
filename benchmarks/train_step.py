"""What a training step with TAF costs against a plain one on as many images.

plain       the baseline's step, every image with a label
TAF         half of the images are unlabelled partners
one-sided   the same, of which the key frames alone take a branch (--symmetric=key)
sampled     the same, of which one frame of each pair takes a branch (--symmetric=sampled)
naive TAF   Eq. 6 as one would write it down: the branches are swapped where Φ ends, before Ω's projections,
            and all of Ω runs twice, on the frames and on the swapped ones

All steps are `fit`'s own compiled function, with the optimizer and the metrics of `train.py`, on a batch in
memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from keras import ops

from benchmarks.timing import Options, Row, Target, medians, ratios, seconds, take_turns
from taf_keras.config import Config, DataConfig, ModelConfig, TAFConfig, TrainingConfig
from taf_keras.evaluation.confusion import ConfusionMatrix
from taf_keras.models.build import build_model
from taf_keras.taf import losses
from taf_keras.taf.cut import Cut
from taf_keras.taf.swap import swap_branches
from taf_keras.taf.trainer import TAFTrainer
from taf_keras.training.objective import build_objective
from taf_keras.training.optimizer import build_optimizer

CLASSES = 11  # CamVid's
WARM_UP = 3  # calls: the trace, and those in which allocators still grow
MOBILENETV2 = ModelConfig(backbone_width=1.0, head_channels=256)
RESNET50 = ModelConfig(backbone="resnet50", head_channels=256)
FCN8S = ModelConfig("fcn8s", "resnet50")
SMALL = ModelConfig(backbone_width=0.35, head_channels=8)


class NaiveEq6:
    """The reference of naive TAF: an objective of DeepLabV3+."""

    terms = ("cross_entropy", "taf")

    def __init__(self, config: Config, network):
        self.network, self.weight, self.change_rates = network, config.taf.weight, config.change_rates
        self.cut = Cut(network, {branch: f"{branch}_relu" for branch in config.branches})
        self.branches = self.cut.branches

    def __call__(self, batch, training=True):
        frames = ops.concatenate([batch["image"], batch["partner"]], axis=0)
        sampled = ops.concatenate([batch["key_branch"], batch["partner_branch"]], axis=0)
        features = self.cut.features(frames, training)
        swapped = swap_branches(features, self.branches, sampled)
        original, swapped = (self.cut.head(f, training) for f in (features, swapped))
        delta = losses.difference(original, swapped, ops.concatenate([batch["valid"]] * 2, axis=0))
        change = ops.cast(ops.abs(ops.concatenate([batch["offset_frames"]] * 2, axis=0)), "float32")
        limit = losses.slack(self.change_rates, sampled, change)
        key, partner = ops.split(losses.hinge(delta, limit), 2, axis=0)
        cross_entropy = losses.cross_entropy(original[: ops.shape(batch["image"])[0]], batch["label"])
        taf = key + partner
        values = {"delta": delta, "slack": limit, "sampled": sampled, "taf": taf}
        return values | {"cross_entropy": cross_entropy, "loss": cross_entropy + self.weight * taf}


def settings(
    model: ModelConfig, method: str, images: int = 8, change_rates=None, symmetric: str = "both"
) -> Config:
    """A run of `images` images a step, as slow to learn as random pixels need it to stay finite."""
    return Config(
        DataConfig(temporal_context=15),
        model,
        TAFConfig(method, change_rates=change_rates, symmetric=symmetric),
        TrainingConfig(batch_size=images, learning_rate=1e-4),
    )


def random_batch(config: Config, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """A batch as `training_batches` yields it; `size` is (height, width), px."""
    rng = np.random.default_rng(0)
    examples = config.key_frames_per_step
    batch = {
        "image": rng.integers(0, 256, (examples, *size, 3), np.uint8),
        "label": rng.integers(0, CLASSES, (examples, *size), np.uint8),
        "valid": np.ones((examples, *size), bool),
    }
    if not config.uses_partners:
        return batch
    branches = np.int32(config.swap_branches)
    return batch | {
        "partner": rng.integers(0, 256, (examples, *size, 3), np.uint8),
        "offset_frames": rng.integers(1, 16, examples, np.int32),
        "key_branch": rng.choice(branches, examples),
        "partner_branch": rng.choice(branches, examples),
        "partner_takes": rng.random(examples) < 0.5,
    }


def build_trainer(config: Config, objective=build_objective, classes: int = CLASSES) -> TAFTrainer:
    """Compiled as `train.py` does it, with what `objective` makes of the config and the network."""
    network = build_model(config.model, classes)
    trainer = TAFTrainer(
        objective(config, network),
        ConfusionMatrix([str(i) for i in range(classes)]),
        gradient_accumulation_steps=config.training.gradient_accumulation_steps,
    )
    trainer.compile(optimizer=build_optimizer(config.training, 100_000), jit_compile=False)
    trainer.optimizer.build(network.trainable_variables)
    return trainer


def compiled_step(trainer, batches: tf.data.Dataset) -> Callable[[], float]:
    """A function that takes one step through `fit`'s own train function and returns its loss."""
    trainer.make_train_function()
    iterator = iter(batches)

    def step() -> float:
        loss = float(trainer.train_function(iterator)["loss"])  # also waits for the device
        if not math.isfinite(loss):
            raise ValueError(f"the loss became {loss}: a step on such numbers may take another time")
        return loss

    return step


def in_memory(batch) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensors(batch).repeat()


def warmed_up(step: Callable[[], object]) -> Callable[[], object]:
    for _ in range(WARM_UP):
        step()
    return step


def compare(title: str, model: ModelConfig, most: float, options: Options, more: bool = False) -> list[Row]:
    """Rows of TAF against the plain step; with `more` of its other forms too."""
    images, size = (8, (256, 256)) if not options.smoke else (4, (64, 64))
    steps = {"plain": ("baseline", "both", None), "TAF": ("taf", "both", Target("≤", most))}
    if more:
        steps |= {
            "one-sided TAF": ("taf", "key", Target("≤", 1.1)),
            "sampled TAF": ("taf", "sampled", None),
            "naive TAF": ("taf", "both", None),
        }
    variants = {}
    for name, (method, symmetric, _) in steps.items():
        config = settings(model, method, images, symmetric=symmetric)
        objective = NaiveEq6 if name == "naive TAF" else build_objective
        step = compiled_step(build_trainer(config, objective), in_memory(random_batch(config, size)))
        variants[name] = seconds(warmed_up(step), options.clock)
    results = take_turns(title, variants, options.rounds)
    against = f"plain step, {images} images of {size[0]}x{size[1]}"
    found, note = [], medians(results, "ms a step", 1000)
    for name, (_, _, target) in steps.items():
        if name != "plain":
            times = ratios(results[name], results["plain"])
            found.append(Row.of(f"{name} step, {title}", against, times, target, note))
            note = ""
    return found


def mobilenetv2(options: Options) -> list[Row]:
    model = SMALL if options.smoke else MOBILENETV2
    return compare("DeepLabV3+/MobileNetV2", model, 1.25, options, more=True)


def fcn8s(options: Options) -> list[Row]:
    return compare("FCN8s/ResNet-50", FCN8S, 1.08, options)


def resnet50(options: Options) -> list[Row]:
    return compare("DeepLabV3+/ResNet-50", RESNET50, 1.15, options)
