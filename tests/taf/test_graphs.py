"""Which models can be cut at which layers: to the bit where they can, with a sentence where they cannot."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from taf_keras import TAF, Cut
from taf_keras.errors import ArgumentError

SIZE = 8


def image() -> keras.KerasTensor:
    return keras.Input((SIZE, SIZE, 3))


def conv(name: str, filters: int = 4) -> layers.Layer:
    return layers.Conv2D(filters, 1, name=name)


# --- Taken ---------------------------------------------------------------------------------------------


class Net(keras.Model):
    """A class of one's own, whose graph is functional."""

    def __init__(self):
        inputs = image()
        super().__init__(inputs, conv("out")(layers.ReLU()(conv("slow")(inputs))))


def sequential():
    return keras.Sequential([image(), conv("slow"), layers.Dropout(0.5), conv("out")])


def nested():
    inputs = image()
    deep = keras.Model(inputs, [conv("slow")(inputs), conv("fast")(inputs)], name="deep")
    inputs = image()
    slow, fast = deep(inputs)
    outer = keras.Model(inputs, [layers.ReLU()(slow), fast], name="encoder")
    inputs = image()
    return keras.Model(inputs, conv("out")(layers.Add()(outer(layers.Rescaling(0.5)(inputs)))))


def shared_layer():
    """One layer before the branch and after it."""
    inputs, shared = image(), conv("shared", 3)
    x = conv("slow", 3)(shared(inputs))
    return keras.Model(inputs, conv("out")(layers.Concatenate()([shared(x), shared(layers.ReLU()(x))])))


def used_three_times():
    inputs = image()
    x, y = conv("slow")(inputs), conv("fast")(inputs)
    return keras.Model(inputs, conv("out")(layers.Concatenate()([x, layers.Multiply()([x, y]), x])))


def operations():
    inputs = image()
    x = conv("slow")(ops.flip(inputs, axis=2) / 2.0)
    y = ops.mean(x, axis=(1, 2), keepdims=True)
    return keras.Model(inputs, conv("out")(ops.concatenate([x, x * y + 1.0], axis=-1)))


def raw_input():
    inputs = image()
    return keras.Model(inputs, conv("out")(layers.Concatenate()([conv("slow")(inputs), inputs])))


def skips_that_feed_each_other():
    inputs = image()
    x = conv("fast")(inputs)
    y = conv("slow")(layers.ReLU()(x))
    return keras.Model(inputs, conv("out")(layers.Add()([layers.ReLU()(y), x])))


TAKEN = {
    "a class": (Net, ["slow"]),
    "sequential": (sequential, ["slow"]),
    "nested": (nested, ["encoder.deep.slow", "fast"]),
    "a shared layer": (shared_layer, ["slow"]),
    "used three times": (used_three_times, ["slow", "fast"]),
    "operations": (operations, ["slow"]),
    "the raw input as a skip": (raw_input, ["slow"]),
    "skips that feed each other": (skips_that_feed_each_other, ["slow", "fast"]),
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_cut_network_is_the_network(name):
    build, branches = TAKEN[name]
    network = build()
    frames = np.random.default_rng(0).normal(size=(3, SIZE, SIZE, 3)).astype("float32")
    cut = Cut(network, branches)
    features = cut.features(frames)
    assert set(branches) <= set(features)
    np.testing.assert_array_equal(cut.head(features), network(frames))
    for branch in branches:
        other = cut.head(features | {branch: features[branch] + 1})
        assert ops.max(ops.abs(other - network(frames))) > 0, f"{branch} must act on the head"


@pytest.mark.parametrize("name", TAKEN)
def test_a_cut_network_is_trained(name):
    build, branches = TAKEN[name]
    network = build()
    frames = np.random.default_rng(0).normal(size=(2, 3, SIZE, SIZE, 3)).astype("float32")
    x = {"image": frames[0], "partner": frames[1], "offset_frames": np.ones(3, "int32")}
    before = network.get_weights()
    model = TAF(network, dict.fromkeys(branches, 0.0), contrast="identity", seed=0)
    model.compile("sgd", "mse", run_eagerly=True)
    (loss,) = model.fit(x, np.zeros((3, SIZE, SIZE, 4)), verbose=0).history["loss"]
    assert np.isfinite(loss)
    assert any(np.any(a != b) for a, b in zip(before, network.get_weights(), strict=True))


def test_a_nested_model_of_another_type_is_opened():
    """Keras casts what goes into it, such as bfloat16 images for an encoder of float32 input."""
    inputs = image()
    inner = keras.Model(inputs, conv("slow")(inputs / 3.0), name="inner")  # an operation casts nothing
    inputs = image()
    half = layers.Rescaling(0.3, dtype="bfloat16")(inputs)
    network = keras.Model(inputs, conv("out")(inner(half)))
    frames = np.random.default_rng(0).normal(size=(3, SIZE, SIZE, 3)).astype("float32")
    cut = Cut(network, ["inner.slow"])
    np.testing.assert_array_equal(cut.head(cut.features(frames)), network(frames))


# --- Refused -------------------------------------------------------------------------------------------


class OwnCall(keras.Model):
    def __init__(self):
        super().__init__(name="own")
        self.slow = conv("slow")

    def call(self, inputs):
        return self.slow(inputs)


class FunctionalWithOwnCall(keras.Model):
    def __init__(self):
        inputs = image()
        super().__init__(inputs, conv("out")(conv("slow")(inputs)), name="own")

    def call(self, inputs, training=None):
        return super().call(inputs, training=training) * 2


class TwoOutputs(layers.Layer):
    def call(self, inputs):
        return inputs, inputs + 1


def two_inputs():
    one, two = image(), image()
    return keras.Model([one, two], conv("out")(layers.Add()([conv("slow", 3)(one), two])), name="two")


def two_outputs():
    inputs = image()
    x = conv("slow")(inputs)
    return keras.Model(inputs, [x, conv("out")(x)], name="two")


def chain():
    inputs = image()
    x = conv("slow")(inputs)
    return keras.Model(inputs, conv("out")(conv("fast")(x)))


def beside():
    inputs = image()
    return keras.Model(inputs, conv("out")(layers.Add()(TwoOutputs(name="double")(conv("slow", 3)(inputs)))))


def twins():
    inputs = image()
    twin = [keras.Model(i := image(), conv("slow", 3)(i), name=name) for name in ("left", "right")]
    return keras.Model(inputs, conv("out")(layers.Add()([each(inputs) for each in twin])))


REFUSED = [
    (chain, ["slwo"], "layer 'slwo': the network has none of this name; near are slow"),
    (chain, ["zzz"], "layer 'zzz': the network has none of this name; allowed are slow, fast, out"),
    (
        nested,
        ["encoder.slow"],
        "layer 'encoder.slow': the network has none of this name; near are encoder.deep.slow",
    ),
    (twins, ["slow"], "layer 'slow': several have this name: write left.slow or right.slow"),
    (shared_layer, ["shared"], "layer 'shared': is called 3 times; allowed is a layer that is called once"),
    (chain, ["slow", "fast"], "branch 'slow': reaches the network's output through other branches alone"),
    (chain, ["out"], "branch 'out': is the network's output, after which there is no head"),
    (beside, ["double"], "layer 'double': has 2 outputs; allowed is a layer of one"),
    (nested, ["fast", "deep.fast"], "layer 'deep.fast': the network has none of this name; near are "),
    (nested, ["fast", "encoder.deep.fast"], "branch 'fast': another branch is the same layer"),
    (OwnCall, ["slow"], "network 'own': a OwnCall has no functional graph; allowed is keras.Model("),
    (FunctionalWithOwnCall, ["slow"], "network 'own': a FunctionalWithOwnCall has no functional graph"),
    (two_inputs, ["slow"], "network 'two': it has 2 inputs; allowed is one"),
    (two_outputs, ["slow"], "network 'two': it has 2 outputs; allowed is one"),
    (lambda: "a path", ["slow"], "network 'a path': a str has no functional graph"),
]


@pytest.mark.parametrize(("build", "branches", "message"), REFUSED)
def test_what_cannot_be_cut_is_refused(build, branches, message):
    with pytest.raises(ArgumentError) as refused:
        TAF(build(), dict.fromkeys(branches, 0.0))
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)
