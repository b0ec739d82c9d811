"""The steps that benchmarks/gpu.py compares, as a user of the library writes them, on random frames."""

from __future__ import annotations

import keras
import numpy as np

from taf_keras.config import BRANCHES, PAPER_CHANGE_RATES, ModelConfig
from taf_keras.models.batch_norm import batch_norm
from taf_keras.models.build import build_model
from taf_keras.taf.wrapper import TAF

CLASSES = 11  # CamVid's


def deeplabv3plus_on(backbone: str) -> tuple[keras.Model, dict[str, float]]:
    """DeepLabV3+ as CamVid's recipes have it, and its change rates."""
    config = ModelConfig(backbone=backbone, backbone_width=1.0, head_channels=256, output_stride=16)
    branches = BRANCHES["deeplabv3plus"].values()
    rates = dict(zip(branches, PAPER_CHANGE_RATES["deeplabv3plus"], strict=True))
    return build_model(config, CLASSES), rates


def small() -> tuple[keras.Model, dict[str, float]]:
    """A network of two branches, which is compiled in no time, and its change rates."""
    image = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(image)
    slow = keras.layers.Conv2D(4, 3, dilation_rate=4, padding="same", name="slow")(x)
    fast = keras.layers.Conv2D(4, 1, name="fast")(x)
    x = batch_norm(0.9, "norm")(keras.layers.Add()([slow, fast]))
    logits = keras.layers.Conv2D(CLASSES, 1, dtype="float32")(keras.layers.ReLU()(x))
    return keras.Model(image, logits), {"slow": 1e-6, "fast": 1e-3}


def compiled_model(backbone: str | None, policy: str, symmetric: str | None) -> keras.Model:
    """The network itself, for a plain step, or in `TAF`; compiled with the recipes' optimizer.

    Args:
        backbone: None is a small network.
        policy: Keras' dtype policy, which stays set.
        symmetric: of `TAF`; None is plain training.
    """
    keras.config.set_dtype_policy(policy)
    network, rates = deeplabv3plus_on(backbone) if backbone else small()
    model = network if symmetric is None else TAF(network, rates, symmetric=symmetric, seed=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
    # Random labels cannot be learnt: so small a learning rate keeps the numbers finite.
    model.compile(keras.optimizers.SGD(1e-4, momentum=0.9, weight_decay=1e-4), loss)
    return model


def batch_on_device(images: int, size: tuple[int, int], symmetric: str | None) -> tuple:
    """(x, y, None) as `fit` takes them, of `images` in all, half of which are partners for TAF."""
    rng = np.random.default_rng(0)
    labelled = images if symmetric is None else images // 2
    x = image = rng.integers(0, 256, (labelled, *size, 3), np.uint8)
    if symmetric is not None:
        x = {
            "image": image,
            "partner": rng.integers(0, 256, image.shape, np.uint8),
            "offset_frames": rng.integers(1, 16, labelled, np.int32),
            "valid": np.ones((labelled, *size), bool),
        }
    y = rng.integers(0, CLASSES, (labelled, *size), np.uint8)
    return (*keras.tree.map_structure(keras.ops.convert_to_tensor, (x, y)), None)
