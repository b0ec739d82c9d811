"""What δ compares has to fit how the network ends: neither a softmax nor a sigmoid is taken twice."""

from __future__ import annotations

from collections.abc import Callable

import keras

from taf_keras.errors import ArgumentError
from taf_keras.models.functional import last_activation


def check_contrast(network: keras.Model, contrast: str | Callable) -> None:
    """Raises: ArgumentError where δ would be 0, or a fraction of what it is, and nothing would say so."""
    if contrast not in ("softmax", "sigmoid"):
        return
    output, name = network.outputs[0], f"network {network.name!r}"
    end = last_activation(output)
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
