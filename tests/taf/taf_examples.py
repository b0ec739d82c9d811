"""Tiny settings and random batches for the tests of the objective."""

from __future__ import annotations

import math

import keras
import numpy as np

from taf_keras.clips.clip import VOID
from taf_keras.config import BRANCHES, Config, DataConfig, ModelConfig, PartnerLabelConfig, TAFConfig
from taf_keras.evaluation.confusion import ConfusionMatrix
from taf_keras.models.batch_norm import batch_norm
from taf_keras.multi_worker.keras_fit import ReplicatedTrainer
from taf_keras.taf.moving_average import MovingAverage
from taf_keras.training.objective import build_objective

# One of them infinite, so that both kinds of branches are in every batch.
RATES = {"fcn8s": (1e-4, 1e-3, math.inf), "deeplabv3plus": (1e-6, 1e-3, math.inf, 3e-3, 1e-2)}


def tiny_config(model: str, **taf) -> Config:
    """MobileNetV2 of the least width with 8 channels in the head; keyword arguments of TAFConfig."""
    taf = {"change_rates": RATES[model]} | taf
    return Config(
        data=DataConfig(temporal_context=5),
        model=ModelConfig(model=model, backbone="mobilenetv2", backbone_width=0.35, head_channels=8),
        taf=TAFConfig(**taf),
        partner_labels=PartnerLabelConfig(teacher="runs/teacher"),
    )


def trainer_of(network: keras.Model, config: Config, replicas: int = 1, teacher=None) -> ReplicatedTrainer:
    """The trainer of `config` for a network of four classes."""
    return ReplicatedTrainer(
        build_objective(config, network, teacher),
        ConfusionMatrix("abcd"),
        replicas,
        config.training.gradient_accumulation_steps,
        teacher if isinstance(teacher, MovingAverage) else None,
    )


def halves(network: keras.Model) -> tuple[list[str], keras.Model, keras.Model]:
    """A network of `build_model` cut at Φ by hand, where none of it is Ω's yet.

    Returns: names of the branches, and of the skip that is never swapped; image -> their features, a list;
        and from such a list to the logits before they are upsampled to the image.
    """
    tensors = {name: network.get_layer(layer).input for name, layer in BRANCHES[network.name].items()}
    if network.name == "deeplabv3plus":
        tensors["low_level"] = network.get_layer("low_level_relu").output
    tensors, names = list(tensors.values()), list(tensors)
    logits = network.get_layer("logits").output
    return names, keras.Model(network.input, tensors), keras.Model(tensors, logits)


def random_batch(config: Config, examples: int, size, classes: int, seed: int) -> dict[str, np.ndarray]:
    """A batch as `training_batches` yields it, with void labels and padding on two sides.

    Where n = 0 the partner is the key frame itself, as in the pipeline. The first example has n = 0.
    """
    rng = np.random.default_rng(seed)
    height, width = size
    image = rng.integers(0, 256, (examples, height, width, 3), np.uint8)
    # Smooth: otherwise every frame of noise looks the same to the network.
    ramp = np.linspace(0, 1, width)[None, None, :, None] * rng.uniform(0, 1, (examples, 1, 1, 3))
    image = (image * 0.3 + 178 * ramp).astype(np.uint8)
    label = rng.integers(0, classes, (examples, height, width)).astype(np.uint8)
    label[rng.random(label.shape) < 0.2] = VOID
    valid = np.ones((examples, height, width), bool)
    for example in range(examples):
        valid[example, rng.integers(height // 2, height + 1) :] = False
        valid[example, :, : rng.integers(0, width // 2)] = False
    label[~valid] = VOID
    batch = {"image": image, "label": label, "valid": valid}
    if not config.uses_partners:
        return batch
    offsets = rng.integers(-5, 6, examples).astype(np.int32)
    offsets[0] = 0
    partner = np.clip(image.astype(int) + rng.integers(-60, 61, image.shape), 0, 255).astype(np.uint8)
    partner[offsets == 0] = image[offsets == 0]
    branches = np.array(config.swap_branches or (0,), np.int32)
    return batch | {
        "partner": partner,
        "offset_frames": offsets,
        "key_branch": rng.choice(branches, examples).astype(np.int32),
        "partner_branch": rng.choice(branches, examples).astype(np.int32),
    }


def pyramid(config) -> keras.Model:
    """In place of `build_backbone`: one convolution, batch norm and ReLU per level.

    It is traced in a third of the time.
    """
    image = keras.Input((None, None, 3))
    x, levels = keras.layers.Rescaling(1 / 127.5, offset=-1)(image), {}
    for level in range(1, 6):
        x = keras.layers.Conv2D(8, 3, strides=2, padding="same", name=f"level{level}_conv")(x)
        x = batch_norm(config.batch_norm_momentum, f"level{level}_bn")(x)
        levels[f"P{level}"] = x = keras.layers.ReLU()(x)
    return keras.Model(image, levels)


def every_layer(config) -> keras.Model:
    """In place of `build_backbone`: each kind of layer that the real backbones have, once."""
    layers = keras.layers
    image = keras.Input((None, None, 3))
    x = layers.Rescaling(1.0, offset=[-104.0, -117.0, -124.0])(keras.ops.flip(image, axis=-1))
    x = layers.ZeroPadding2D(1)(x)
    x = layers.Conv2D(8, 3, strides=2, name="stem_conv")(x)
    x = layers.ReLU(6.0)(batch_norm(config.batch_norm_momentum, "stem_bn")(x))
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    levels = {"P2": x}
    for level in range(3, 6):
        stride = 2 if 2**level <= config.output_stride else 1
        x = layers.DepthwiseConv2D(3, strides=stride, padding="same", name=f"level{level}_depthwise")(x)
        x = batch_norm(config.batch_norm_momentum, f"level{level}_bn")(x)
        shortcut = layers.Conv2D(8, 1, name=f"level{level}_shortcut")(x)
        x = layers.Conv2D(8, 3, padding="same", dilation_rate=2, name=f"level{level}_conv")(layers.ReLU()(x))
        levels[f"P{level}"] = x = layers.Add()([x, shortcut])
    return keras.Model(image, levels)


def in_float64(network: keras.Model) -> keras.Model:
    """The same network in float64.

    Batch norm at random weights magnifies float32's rounding: the kernels of two runs that add in
    different order part by 1e-2 within three steps. In float64 only a defect can part them.
    """

    def clone(layer):  # operations of keras.ops have no type of their own
        dtype = {"dtype": "float64"} if isinstance(layer, keras.layers.Layer) else {}
        return type(layer).from_config(layer.get_config() | dtype)

    return keras.models.clone_model(network, clone_function=clone, recursive=True)
