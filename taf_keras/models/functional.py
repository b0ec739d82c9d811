"""Which Keras models are graphs from one tensor to one: what the swap, `train.py` and the export need."""

from __future__ import annotations

import keras


def functional(operation: keras.Operation) -> keras.Model | None:
    """The operation as a functional model whose graph is all that it does; None where it is none."""
    if not isinstance(operation, keras.Model) or _has_own_call(operation):
        return None
    if isinstance(operation, keras.Sequential):
        operation = getattr(operation, "_functional", None)
    return operation if hasattr(operation, "_nodes_by_depth") else None


def functional_fault(network) -> str | None:
    """What a network lacks to be a functional model of one input and one output, and what is allowed."""
    model = functional(network)
    if model is None:
        return (
            f"a {type(network).__name__} has no functional graph; allowed is keras.Model(inputs, outputs), "
            "without a call() of its own"
        )
    for what, tensors in (("input", model.inputs), ("output", model.outputs)):
        if len(tensors) != 1:
            return f"it has {len(tensors)} {what}s; allowed is one: keras.Model with the {what} that is meant"
    if isinstance(model.output, dict):  # a loss would take it by its name
        return (
            f"it returns a dict, {{{next(iter(model.output))!r}: …}}; allowed is one tensor: "
            "keras.Model(network.inputs, network.outputs[0])"
        )
    return None


def last_activation(tensor) -> str | None:
    """`softmax` or `sigmoid` where the operation that makes a symbolic tensor ends with one.

    That is a layer, a layer's activation or an operation of Keras, inside nested models too.
    """
    operation = tensor._keras_history.operation
    if isinstance(operation, keras.Model) and getattr(operation, "outputs", None):
        return last_activation(operation.outputs[tensor._keras_history.tensor_index])
    own = getattr(operation, "activation", None)
    for name in ("softmax", "sigmoid"):
        if type(operation).__name__ == name.title() or own is getattr(keras.activations, name):
            return name
    return None


def regularised_layer(network: keras.Model) -> keras.Layer | None:
    """The first layer with an `activity_regularizer`, nested ones among them; None where there is none."""
    return next(
        (layer for layer in network._flatten_layers() if layer.activity_regularizer is not None), None
    )


def _has_own_call(model: keras.Model) -> bool:
    """Whether its class has a `call` of the user's, which Keras calls in place of the graph."""
    owner = next(base for base in type(model).__mro__ if "call" in vars(base))
    return not owner.__module__.startswith("keras.")
