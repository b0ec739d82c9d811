"""One step of TAF on given weights, frames and draws: `python one_step.py FILE.json` writes what it came to.

On any backend. one_step.json beside this file was written under TensorFlow. In float64: batch norm of few
frames magnifies what backends round differently in float32, to 1e-3 of a gradient.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras
import numpy as np

import taf_keras as tk
from taf_keras.config import ModelConfig
from taf_keras.models import build
from taf_keras.models.batch_norm import batch_norm

SIZE, PAIRS, CLASSES = (64, 96), 4, 3
RATES = {"fcn8s": (1e-6, 1e-5, 1e-4), "deeplabv3plus": (1e-6, 1e-5, 1e-4, 1e-3, float("inf"))}


def small_backbone(config) -> keras.Model:
    image, levels = keras.Input((None, None, 3)), {}
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(image)
    for level in range(1, 6):
        x = keras.layers.Conv2D(6, 3, strides=2, padding="same", name=f"level{level}_conv")(x)
        x = batch_norm(config.batch_norm_momentum, f"level{level}_bn")(x)
        levels[f"P{level}"] = x = keras.layers.ReLU()(x)
    return keras.Model(image, levels)


def foreign() -> tuple[keras.Model, dict[str, float]]:
    """With Keras' own batch norm, an encoder without padding's ambiguity, and a decoder of skips."""
    image, skips = keras.Input((*SIZE, 3)), []
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(image)
    for level in range(3):
        x = keras.layers.Conv2D(6, 2, strides=2, name=f"down{level}")(x)
        x = keras.layers.BatchNormalization(name=f"down{level}_bn")(x)
        skips.append(x := keras.layers.ReLU(name=f"skip{level}")(x))
    for level in (1, 0):
        x = keras.layers.UpSampling2D()(x)
        x = keras.layers.Concatenate()([x, skips[level]])
        x = keras.layers.Conv2D(6, 3, padding="same", name=f"up{level}")(x)
        x = keras.layers.BatchNormalization(name=f"up{level}_bn")(x)
        x = keras.layers.ReLU()(x)
    logits = keras.layers.Conv2D(CLASSES, 1, name="logits")(keras.layers.UpSampling2D()(x))
    return keras.Model(image, logits), {"skip2": 1e-6, "skip1": 1e-4, "skip0": 1e-3}


def built_in(name: str) -> tuple[keras.Model, dict[str, float]]:
    original, build.build_backbone = build.build_backbone, small_backbone
    try:
        config = ModelConfig(name, head_channels=6)
        network = build.build_model(config, CLASSES)
    finally:
        build.build_backbone = original
    from taf_keras.config import BRANCHES

    return network, dict(zip(BRANCHES[name].values(), RATES[name], strict=True))


NETWORKS = {"foreign": foreign} | {name: lambda name=name: built_in(name) for name in RATES}


def numbered(variable) -> np.random.Generator:
    """Random numbers that depend on a variable's name alone."""
    return np.random.default_rng(list("/".join(variable.path.split("/")[-2:]).encode()))


def run(name: str, batch_norm_frames: str = "key", symmetric: str = "both") -> dict[str, float]:
    """{what: number}: the losses, δ of each branch, and a projection of every weight behind the step."""
    network, rates = NETWORKS[name]()
    for variable in network.variables:
        values = numbered(variable).normal(size=variable.shape) / np.sqrt(
            max(1, np.prod(variable.shape[:-1]))
        )
        kind = variable.path.split("/")[-1]
        if kind in ("gamma", "moving_variance"):
            values = 1 + 0.1 * np.abs(values)
        variable.assign(values)
    rng = np.random.default_rng(0)
    blocks = rng.uniform(0, 255, (PAIRS, 2, 3, 3)) * np.array([1, 0.6, 0.3, 0.1])[:, None, None, None]
    image = blocks.repeat(SIZE[0] // 2, 1).repeat(SIZE[1] // 3, 2).astype(np.float64)
    x = {
        "image": image,
        "partner": np.clip(image + rng.normal(0, 30, image.shape), 0, 255),
        "offset_frames": np.int32([3, -2, 0, 15]),
        "valid": np.ones((PAIRS, *SIZE), bool),
        "key_branch": np.int32([0, 1, 2, 1]),
        "partner_branch": np.int32([2, 0, 0, 1]),
    }
    x["valid"][:, SIZE[0] // 2 :, :10] = False
    y = rng.integers(0, CLASSES, (PAIRS, *SIZE))
    y[:, :5] = 255
    model = tk.TAF(network, rates, 2.0, batch_norm_frames=batch_norm_frames, symmetric=symmetric)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
    # A graph of TensorFlow takes longer to trace than a step to run.
    model.compile(keras.optimizers.SGD(0.05), loss, run_eagerly=keras.backend.backend() == "tensorflow")
    history = model.fit(x, y, batch_size=PAIRS, shuffle=False, verbose=0).history
    found = {what: float(values[0]) for what, values in history.items()}
    for variable in network.variables:
        values = keras.ops.convert_to_numpy(variable)
        path = "/".join(variable.path.split("/")[-2:])
        found[f"sum {path}"] = float(values.sum(dtype=np.float64))
        found[f"length {path}"] = float(np.sqrt(np.square(values, dtype=np.float64).sum()))
    return found


CASES = [(name, "key", "both") for name in NETWORKS] + [("foreign", "all", "both"), ("foreign", "key", "key")]


def main(path: str) -> None:
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
    found = {" ".join(case): run(*case) for case in CASES}
    Path(path).write_text(json.dumps(found, indent=0) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
