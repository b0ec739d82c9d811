"""Number formats of a model of the user's own: its layers may keep others than `--dtype`."""

from __future__ import annotations

import keras

from taf_keras.config import DTYPES

_HALF = ("float16", "bfloat16")


def dtype_fault(network: keras.Model, dtype: str) -> str | None:
    """What is wrong with the formats of its layers under `--dtype=dtype`, and what is allowed.

    The optimizer scales the loss by the flag alone, so layers with weights must follow it. Some may stay
    float32.
    """
    found = {
        layer.dtype_policy.name: layer.name
        for layer in network._flatten_layers()
        if layer.weights and not isinstance(layer, keras.Model)
    }
    others = sorted(found.keys() - {"float32"})
    if not found or others == [dtype] or (not others and dtype == "float32"):
        return None
    if not others:
        return f"computes in float32: give --dtype=float32, or layers of the dtype {dtype}"
    if len(others) == 1 and others[0] in DTYPES:
        return f"computes in {others[0].removeprefix('mixed_')}: give --dtype={others[0]}"
    other = next(name for name in others if name != dtype)
    allowed = " or ".join(name for name in DTYPES if name != "float32")
    return f"layer {found[other]!r} has the dtype {other}; allowed are float32 and {allowed}, not both"


def in_float32(network: keras.Model) -> keras.Model:
    """The same network, whose layers of half precision compute in float32 from now on."""
    for layer in network._flatten_layers():
        if layer.compute_dtype in _HALF:
            layer.dtype_policy = "float32"
        if isinstance(layer, keras.layers.InputLayer) and layer.output.dtype in _HALF:
            layer._dtype = layer.output._dtype = "float32"  # a keras.Sequential casts to them
    return network
