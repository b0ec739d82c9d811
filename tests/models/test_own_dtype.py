"""Layers of a model of the user's own keep their dtype: it must be that of the flag, or float32."""

import keras
import numpy as np
import pytest

from taf_keras.models.build import dtype_policy
from taf_keras.models.own_dtype import dtype_fault, in_float32


def network(policy: str, last: str | None = "float32", inner: str | None = None) -> keras.Model:
    """Layers of one policy, but for the last and one inside a nested model."""
    with dtype_policy(policy):
        image = keras.Input((None, None, 3))
        x = keras.layers.Rescaling(1 / 255)(image)
        x = keras.Sequential([keras.layers.Conv2D(4, 3, padding="same", dtype=inner)])(x)
        return keras.Model(image, keras.layers.Conv2D(2, 1, dtype=last, name="last")(x))


@pytest.mark.parametrize(
    ("policy", "last", "flag"),
    [
        ("float32", None, "float32"),
        ("mixed_float16", None, "mixed_float16"),
        ("mixed_bfloat16", "float32", "mixed_bfloat16"),
    ],
)
def test_layers_of_the_flag_beside_float32(policy, last, flag):
    assert dtype_fault(network(policy, last), flag) is None


ALLOWED = "allowed are float32 and mixed_float16 or mixed_bfloat16, not both"


@pytest.mark.parametrize(
    ("layers", "flag", "fault"),
    [
        ({"policy": "mixed_float16"}, "float32", "computes in float16: give --dtype=mixed_float16"),
        ({"policy": "mixed_float16"}, "mixed_bfloat16", "computes in float16: give --dtype=mixed_float16"),
        (
            {"policy": "float32", "inner": "mixed_bfloat16"},
            "float32",
            "computes in bfloat16: give --dtype=mixed_bfloat16",
        ),
        (
            {"policy": "float32"},
            "mixed_float16",
            "computes in float32: give --dtype=float32, or layers of the dtype mixed_float16",
        ),
        (
            {"policy": "float32", "last": "float64"},
            "float32",
            f"layer 'last' has the dtype float64; {ALLOWED}",
        ),
        (
            {"policy": "mixed_float16", "last": "mixed_bfloat16"},
            "mixed_float16",
            f"layer 'last' has the dtype mixed_bfloat16; {ALLOWED}",
        ),
    ],
)
def test_layers_of_another_dtype(layers, flag, fault):
    assert dtype_fault(network(**layers), flag) == fault


def test_in_float32_every_layer_computes_in_float32():
    mixed = network("mixed_float16", None)
    weights = mixed.get_weights()
    images = np.random.default_rng(0).uniform(0, 255, (1, 8, 8, 3)).astype(np.float32)
    assert keras.backend.standardize_dtype(mixed(images).dtype) == "float16"
    single = in_float32(mixed)
    assert {layer.compute_dtype for layer in single._flatten_layers()} == {"float32"}
    expected = network("float32")
    expected.set_weights(weights)
    np.testing.assert_allclose(single(images), expected(images), rtol=1e-5, atol=1e-6)
