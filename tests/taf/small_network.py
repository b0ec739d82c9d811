"""A network of three branches, batches for it, and how a user of Keras trains it."""

import keras
import numpy as np
from keras import layers

INF = float("inf")
SIZE, PAIRS, CLASSES = 8, 4, 3
RATES = {"slow": 1e-3, "medium": 0.0, "fast": INF}


def network_of(dropout: float = 0.0) -> keras.Model:
    image = keras.Input((SIZE, SIZE, 3))
    x = layers.BatchNormalization()(image)
    slow = layers.Conv2D(4, 3, padding="same", name="slow")(x)
    medium = layers.Conv2D(4, 1, name="medium")(x)
    fast = layers.Conv2D(4, 1, name="fast")(image)
    x = layers.BatchNormalization()(layers.Concatenate()([slow, medium, fast]))
    x = layers.Dropout(dropout, seed=1)(layers.ReLU()(x))
    return keras.Model(image, layers.Conv2D(CLASSES, 1)(x))


def seeded_network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return network_of()


def batch(pairs: int = PAIRS, seed: int = 0):
    """(x, y); the branches are left to be sampled."""
    rng = np.random.default_rng(seed)
    image, partner = rng.normal(size=(2, pairs, SIZE, SIZE, 3)).astype("float32")
    x = {"image": image, "partner": partner, "offset_frames": rng.integers(-9, 9, pairs).astype("int32")}
    return x, rng.integers(0, CLASSES, (pairs, SIZE, SIZE))


def compiled(model: keras.Model, **options) -> keras.Model:
    """Eager where nothing else is said: a graph of so small a network takes longer to make than to run."""
    options = {"run_eagerly": True} | options
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"], **options)
    return model


def fit(model, epochs: int = 1, **options) -> dict:
    """Two steps in each epoch, the same in all."""
    x, y = batch(2 * PAIRS)
    return model.fit(x, y, batch_size=PAIRS, epochs=epochs, shuffle=False, verbose=0, **options).history


def assert_same_bits(a: keras.Model, b: keras.Model) -> None:
    for one, other in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def differ(a: keras.Model, b: keras.Model) -> bool:
    return any(np.any(x != y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


def sampled(x, branch: str = "slow") -> dict:
    index = np.full(len(x["image"]), list(RATES).index(branch), "int32")
    return x | {"key_branch": index, "partner_branch": index}


def two_branches(outputs_of, channels: int = CLASSES, inputs_of=lambda image: image) -> keras.Model:
    image = keras.Input((SIZE, SIZE, 3))
    both = [layers.Conv2D(4, 1, name=branch)(image) for branch in ("slow", "fast")]
    logits = layers.Conv2D(channels, 1)(layers.Concatenate()(both))
    return keras.Model(inputs_of(image), outputs_of(logits), name="net")
