"""What δ compares has to fit how the network ends: neither a softmax nor a sigmoid is taken twice."""

from __future__ import annotations

from collections.abc import Callable

import keras

from taf_keras.errors import ArgumentError

_ENDS = ("softmax", "sigmoid")


def check_contrast(network: keras.Model, contrast: str | Callable) -> None:
    """Raises: ArgumentError where δ would be 0, or a fraction of what it is, and nothing would say so."""
    if contrast not in _ENDS:
        return
    output, name = network.outputs[0], f"network {network.name!r}"
    end = next((end for end in _ENDS if ends_with(output, end)), None)
    if contrast == "softmax" and output.shape[-1] == 1:
        fits = (
            'contrast="identity", since it ends with a sigmoid'
            if end == "sigmoid"
            else 'contrast="sigmoid" for logits, or "identity" for a regression'
        )
        raise ArgumentError(f"{name}: has one output channel, whose softmax is always 1: give {fits}")
    if end:
        taken = "that" if end == contrast else f"a {contrast}"
        raise ArgumentError(
            f"{name}: ends with a {end}, and δ would take {taken} of it: leave it out, or give "
            'contrast="identity"'
        )


def ends_with(tensor, activation: str) -> bool:
    """Whether the operation that makes a symbolic tensor, inside nested models too, ends with it.

    Args:
        activation: `softmax` or `sigmoid`, as a layer, a layer's activation or an operation of Keras.
    """
    operation = tensor._keras_history.operation
    if isinstance(operation, keras.Model) and getattr(operation, "outputs", None):
        return ends_with(operation.outputs[tensor._keras_history.tensor_index], activation)
    own = getattr(operation, "activation", None)
    return type(operation).__name__ == activation.title() or own is getattr(keras.activations, activation)
